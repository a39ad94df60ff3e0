"""Eight choices among K, the same times values, eight gates times values, or eight Gaussian numbers; three seeds each.

    python launch.py --config=configs/intensity_claim.py:contrast --sweep=configs/sweeps/intensity_claim.py

A choice among K is worth log K nats at most and has no intensity of its own: how many categories buy what one value
does? Networks are the same but for the layers next to the code, whose size is the code's.
"""

from collections.abc import Iterable
from typing import Any

from ctc_jax import sweeps

CATEGORIES = (4, 8, 16, 32, 64)
CHOICES = [
    {
        "model.name": "mask_vae",
        "model.mask_vae.latent": latent,
        "model.mask_vae.categories": categories,
        "estimator.name": "reinmax",
    }
    for categories in CATEGORIES
    for latent in ("categorical", "ctc")
]
GATES = {"model.name": "mask_vae", "model.mask_vae.latent": "bernoulli_ctc", "estimator.name": "disarm"}
SEEDS = [{"seed": seed} for seed in (0, 1, 2)]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, [{"model.name": "mlp_vae"}, GATES, *CHOICES])
