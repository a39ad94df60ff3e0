"""What the levels of a hierarchy are made of, three seeds each, on whatever hierarchy is given.

    python launch.py --config=configs/mnist_hierarchy.py --sweep=configs/sweeps/level_families.py --sweep_parallel=2

Two cores: twelve runs of at most 13 minutes on a core each, an hour and a quarter.
"""

from collections.abc import Iterable
from typing import Any

ESTIMATORS = {"none": "pathwise", "gaussian": "pathwise", "ctc_pool": "reinmax", "ctc_relu": "reinmax"}


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, seeds innermost."""
    for family, estimator in ESTIMATORS.items():
        for seed in (0, 1, 2):
            yield {"model.ctc_hierarchy.families": family, "estimator.name": estimator, "seed": seed}
