from ctc_jax.objectives.elbo import Elbo
from ctc_jax.objectives.importance_weighted import ImportanceWeighted, importance_weighted_bound, log_weights
from ctc_jax.objectives.objective import AbstractObjective, Metrics
from ctc_jax.objectives.predictive_coding import PredictiveCoding
from ctc_jax.objectives.registry import REGISTRY, SECTION, build
from ctc_jax.objectives.reweighted_wake_sleep import ReweightedWakeSleep

__all__ = [
    "REGISTRY",
    "SECTION",
    "AbstractObjective",
    "Elbo",
    "ImportanceWeighted",
    "Metrics",
    "PredictiveCoding",
    "ReweightedWakeSleep",
    "build",
    "importance_weighted_bound",
    "log_weights",
]
