"""Claim c alone: every posterior under a logistic likelihood, beside the diagonal one and a multimodal likelihood.

    python launch.py --config=configs/founding_claim.py:shapes --sweep=configs/sweeps/posteriors.py

Its runs are among those of founding_claim.py, by the same names.
"""

from collections.abc import Iterable
from typing import Any

from configs.sweeps.founding_claim import POSTERIORS, SEEDS
from ctc_jax import sweeps

LIKELIHOODS = [{"likelihood.name": "logistic"}, {"likelihood.name": "ctc"}]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, [*LIKELIHOODS, *POSTERIORS])
