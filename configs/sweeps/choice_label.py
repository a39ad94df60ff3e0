"""One code, many images: the label on top, and below it levels of each family; three seeds each.

    python launch.py --config=configs/choice_claim.py:label --sweep=configs/sweeps/choice_label.py

Without levels the label's answer is independent pixels; likelihoods.py on the preset label_grey has those that differ.
"""

from collections.abc import Iterable
from typing import Any

from configs.sweeps.choice_depth import FAMILIES, SEEDS
from ctc_jax import sweeps

OTHERS = [
    {"model.ctc_hierarchy.families": "ctc_relu", "estimator.name": "reinmax"},
    {"model.ctc_hierarchy.families": "lwta", "estimator.name": "reinmax"},
    {"model.ctc_hierarchy.families": "none", "estimator.name": "pathwise"},
]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, [*FAMILIES, *OTHERS])
