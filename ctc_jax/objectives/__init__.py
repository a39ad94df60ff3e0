from ctc_jax.objectives.elbo import Elbo, Metrics
from ctc_jax.objectives.importance_weighted import ImportanceWeighted, importance_weighted_bound, log_weights
from ctc_jax.objectives.registry import REGISTRY, SECTION, build

__all__ = [
    "REGISTRY",
    "SECTION",
    "Elbo",
    "ImportanceWeighted",
    "Metrics",
    "build",
    "importance_weighted_bound",
    "log_weights",
]
