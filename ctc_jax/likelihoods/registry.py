"""Likelihoods by name: a new one is one file and one line here. Tests: test_registry.py."""

from collections.abc import Callable

import flax.linen as nn

from ctc_jax.errors import ConfigError, choose
from ctc_jax.likelihoods import bernoulli, categorical, ctc, unimodal

REGISTRY: dict[str, Callable[..., nn.Module]] = {
    "bernoulli": bernoulli.build,
    "categorical": categorical.build,
    "ctc": ctc.build,
    "gaussian": unimodal.build_gaussian,
    "logistic": unimodal.build_logistic,
}


def build(config, *, channels: int, bits: int) -> nn.Module:
    """The likelihood that the config's `likelihood` section names.

    Args:
      config: the section, read by attribute.
      channels: of the images, 1 to 4.
      bits: of the images, 1 to 8.

    Returns:
      A module from features `[batch, height, width, features]` to a distribution on images of levels with
      `log_prob` (nats an image, float32), `sample`, `mean` and `mode`.

    Raises:
      ConfigError: an unknown name, or a key of the section has a value that is not allowed.
    """
    if not 1 <= bits <= 8:
        raise ConfigError("data.bits", bits, "1 to 8")
    if not config.output_layer and config.name != "bernoulli":
        raise ConfigError("likelihood.output_layer", config.output_layer, "True, unless likelihood.name is bernoulli")
    return choose(REGISTRY, config.name, "likelihood.name")(config, channels=channels, bits=bits)
