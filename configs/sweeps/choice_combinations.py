"""Combinations: several digits at places of their own, or pieces of digits beside one; three seeds each.

    python launch.py --config=configs/choice_claim.py --sweep=configs/sweeps/choice_combinations.py

One digit alone is among the runs of choice_depth.py, and by the same name.
"""

from collections.abc import Iterable
from typing import Any

from configs.sweeps.choice_depth import FAMILIES, SEEDS
from ctc_jax import sweeps

COMPANY = [
    {"model.decoder_blocks": 1},
    {"data.objects": 2},
    {"data.objects": 4},
    {"data.distractors": 4},
]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, COMPANY, FAMILIES)
