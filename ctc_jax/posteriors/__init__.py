from ctc_jax.posteriors.registry import REGISTRY, build

__all__ = ["REGISTRY", "build"]
