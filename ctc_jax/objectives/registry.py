"""Training objectives by name: a new one is one file and one line here. Tests: tests/objectives/test_registry.py.

An objective is its own options, called with `(model, params, key, batch, step)` for a loss and metrics.
"""

from collections.abc import Callable
from typing import Any

from ctc_jax.objectives.elbo import Elbo
from ctc_jax.objectives.importance_weighted import ImportanceWeighted
from ctc_jax.options import ConfigSection, Section

Objective = Callable[..., tuple[Any, dict[str, Any]]]

REGISTRY = {"elbo": Elbo, "importance_weighted": ImportanceWeighted}

SECTION = Section(
    "objective",
    REGISTRY,
    "elbo",
    meaning="what is maximized; warm-up, free bits and annealing change the training loss, never a reported bound",
)


def build(config: ConfigSection) -> Objective:
    """The objective that the section `objective` of a config names.

    Raises:
      ConfigError: an unknown name or key, or a value that does not fit.
    """
    return SECTION.read(config)[0]
