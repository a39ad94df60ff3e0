"""Training objectives by name: a new one is one file and one line here. Tests: tests/objectives/test_registry.py.

An objective is its own options, called with `(model, params, key, batch, step)` for a loss and metrics.
"""

from ctc_jax.objectives.elbo import Elbo
from ctc_jax.objectives.importance_weighted import ImportanceWeighted
from ctc_jax.objectives.objective import AbstractObjective
from ctc_jax.objectives.predictive_coding import PredictiveCoding
from ctc_jax.objectives.reweighted_wake_sleep import ReweightedWakeSleep
from ctc_jax.options import ConfigSection, Section

REGISTRY: dict[str, type[AbstractObjective]] = {
    "elbo": Elbo,
    "importance_weighted": ImportanceWeighted,
    "predictive_coding": PredictiveCoding,
    "reweighted_wake_sleep": ReweightedWakeSleep,
}

SECTION = Section(
    "objective",
    REGISTRY,
    "elbo",
    meaning="what is maximized; warm-up, free bits and annealing change the training loss, never a reported bound",
)


def build(config: ConfigSection) -> AbstractObjective:
    """The objective that the section `objective` of a config names.

    Raises:
      ConfigError: an unknown name or key, or a value that does not fit.
    """
    return SECTION.read(config)[0]
