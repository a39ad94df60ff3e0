"""Likelihoods by name: a new one is one file and one line here. Tests: test_registry.py."""

import flax.linen as nn

from ctc_jax.errors import ConfigError
from ctc_jax.likelihoods.bernoulli import BernoulliOptions
from ctc_jax.likelihoods.categorical import CategoricalOptions
from ctc_jax.likelihoods.ctc import CTCOptions
from ctc_jax.likelihoods.scale import ScaleOptions
from ctc_jax.likelihoods.unimodal import GaussianOptions, LogisticOptions
from ctc_jax.options import ConfigSection, OptionError, Options, Section

REGISTRY: dict[str, type[Options]] = {
    "bernoulli": BernoulliOptions,
    "categorical": CategoricalOptions,
    "ctc": CTCOptions,
    "gaussian": GaussianOptions,
    "logistic": LogisticOptions,
}

SECTION = Section("likelihood", REGISTRY, "ctc", ScaleOptions, "the distribution on pixels")

# Where the arguments of a likelihood's `build` that are no options of its own come from.
ARGUMENTS = {"bits": "data.bits", "features": "model.features", "scale": "likelihood.scale"}


def build(config: ConfigSection, *, shape: tuple[int, int, int], bits: int, features: int) -> nn.Module:
    """The likelihood that the config's `likelihood` section names.

    Args:
      config: the section.
      shape: height, width and channels of the images.
      bits: of the images, 1 to 8.
      features: of each pixel.

    Returns:
      A module from features `[batch, height, width, features]` to a distribution on images of levels with
      `log_prob` (nats per image, float32), `sample`, `mean` and `mode`.

    Raises:
      ConfigError: an unknown name, or a value that is not allowed, by its key.
    """
    options, scale = SECTION.read(config)
    try:
        return options.build(scale, shape=shape, bits=bits, features=features)
    except OptionError as error:
        name = config.get("name", SECTION.default)
        binary = "; data.binarization makes pixels binary" if error.name == "bits" else ""
        key = ARGUMENTS.get(error.name, f"likelihood.{name}.{error.name}")
        raise ConfigError(key, error.found, f"{error.allowed} with likelihood.name={name}{binary}") from None
