"""The learning rate, its decay and the clipping of gradients, by the validation bound.

    python launch.py --config=configs/shapes_ctc.py --search=configs/searches/rates.py --search_runs=20

Runs that are worse than most at their step are stopped; on two cores about half an hour.
"""

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """One run, from an Optuna trial."""
    return {
        "train.learning_rate": trial.suggest_float("learning_rate", 3e-4, 3e-2, log=True),
        "train.beta2": trial.suggest_categorical("beta2", [0.99, 0.999]),
        "train.clip_norm": trial.suggest_categorical("clip_norm", [0.0, 10.0, 1_000.0]),
        "train.evaluate_every": 250,
    }
