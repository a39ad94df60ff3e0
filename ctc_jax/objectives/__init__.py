from ctc_jax.objectives.elbo import Elbo, Metrics
from ctc_jax.objectives.importance import importance_weighted_bound, log_weights
from ctc_jax.objectives.importance_weighted import ImportanceWeighted
from ctc_jax.objectives.registry import REGISTRY, build

__all__ = ["REGISTRY", "Elbo", "ImportanceWeighted", "Metrics", "build", "importance_weighted_bound", "log_weights"]
