from ctc_jax.gradients.registry import REGISTRY, Estimator, build

__all__ = ["REGISTRY", "Estimator", "build"]
