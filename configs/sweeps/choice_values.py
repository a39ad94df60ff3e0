"""Equal active values: a pooled window has one value for a Gaussian's four, so also with four times the channels.

    python launch.py --config=configs/choice_claim.py --sweep=configs/sweeps/choice_values.py

Three seeds each: at equal steps, of 1.8 times the parameters and 2.4 times the arithmetic; at equal parameters,
by a narrower network; at equal arithmetic, by fewer steps. The rows of eight channels are among the runs of
choice_depth.py, and by the same name.
"""

from collections.abc import Iterable
from typing import Any

from configs.sweeps.choice_depth import FAMILIES, SEEDS
from ctc_jax import sweeps

EIGHT = sweeps.crossed([{"model.decoder_blocks": 1}], FAMILIES)
POOL = EIGHT[1]
FOUR_TIMES = [
    {**POOL, "model.ctc_hierarchy.channels": 32, **changes}
    for changes in ({}, {"model.width": 20}, {"train.steps": 400})
]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, [*EIGHT, *FOUR_TIMES])
