"""Few latents: the highest level alone, of one to eight channels, below the label; three seeds each.

    python launch.py --config=configs/choice_claim.py:few --sweep=configs/sweeps/choice_few.py

Each number of channels is a point of rate and distortion; between them lies the rate at which two families have the
same distortion. A pooled window has one value for the Gaussian's four, and a choice that costs at most log 4.
"""

from collections.abc import Iterable
from typing import Any

from configs.sweeps.choice_depth import SEEDS
from ctc_jax import sweeps

FAMILIES = [
    {"model.ctc_hierarchy.families": "none,none,gaussian", "estimator.name": "pathwise"},
    {"model.ctc_hierarchy.families": "none,none,ctc_pool", "estimator.name": "reinmax"},
]
CHANNELS = [{"model.ctc_hierarchy.channels": channels} for channels in (1, 2, 4, 8)]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, CHANNELS, FAMILIES)
