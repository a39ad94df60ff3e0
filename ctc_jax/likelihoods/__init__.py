"""From network outputs to distributions on pixels."""

from ctc_jax.likelihoods.registry import REGISTRY, build

__all__ = ["REGISTRY", "build"]
