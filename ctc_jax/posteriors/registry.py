"""Recognition families by name. Tests: tests/posteriors/test_diagonal.py."""

import flax.linen as nn

from ctc_jax.errors import choose
from ctc_jax.posteriors.diagonal import DiagonalGaussian

REGISTRY = {"diagonal": DiagonalGaussian}


def build(config, *, latents: int) -> nn.Module:
    """A module that maps hidden features [batch, features] to a numpyro distribution over [latents].

    Args:
      config: the section `posterior` of configs/base.py.
      latents: size of the code.

    Raises:
      ConfigError: `posterior.name` is unknown.
    """
    return choose(REGISTRY, config.name, "posterior.name")(latents=latents)
