"""From network outputs to distributions on pixels."""

from ctc_jax.likelihoods.registry import REGISTRY, SECTION, build

__all__ = ["REGISTRY", "SECTION", "build"]
