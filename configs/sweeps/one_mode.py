"""One mode, or independent pixels? Controls of a multimodal likelihood that have one mode and more, three seeds each.

    python launch.py --config=configs/founding_claim.py:fashion --sweep=configs/sweeps/one_mode.py

Pixels with a random low-rank part, the best scale of each image, and beside them one choice a pixel and one for a patch
of 4 x 4 pixels. If correlation alone takes the blur away, several modes are not what was missing.
"""

from collections.abc import Iterable
from typing import Any

from ctc_jax import sweeps

RANKS = (1, 4, 16)
UNIMODAL = ("gaussian", "logistic")
PLAIN = [{"likelihood.name": name} for name in UNIMODAL]
SCALED = [{"likelihood.name": name, "likelihood.scale": "optimal"} for name in UNIMODAL]
CORRELATED = [{"likelihood.name": name, f"likelihood.{name}.rank": rank} for name in UNIMODAL for rank in RANKS]
CHOICES = [{"likelihood.name": "ctc"}, {"likelihood.name": "ctc", "likelihood.ctc.mask_group": "patch:4"}]
SEEDS = [{"seed": seed} for seed in (0, 1, 2)]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, [*PLAIN, *SCALED, *CORRELATED, *CHOICES])
