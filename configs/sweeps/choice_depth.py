"""How far a decoder can bend a latent: Gaussian and pooled levels by its depth, 0 being linear; three seeds each.

    python launch.py --config=configs/choice_claim.py --sweep=configs/sweeps/choice_depth.py

A nonlinear decoder can make several modes of a Gaussian; a linear one cannot, so that masks should matter most there.
"""

from collections.abc import Iterable
from typing import Any

from ctc_jax import sweeps

FAMILIES = [
    {"model.ctc_hierarchy.families": "gaussian", "estimator.name": "pathwise"},
    {"model.ctc_hierarchy.families": "ctc_pool", "estimator.name": "reinmax"},
]
DEPTHS = [{"model.decoder_blocks": blocks} for blocks in (0, 1, 2, 4)]
SEEDS = [{"seed": seed} for seed in (0, 1, 2)]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, DEPTHS, FAMILIES)
