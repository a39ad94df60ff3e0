"""The founding claim, three seeds each: what a multimodal likelihood, multimodal latents and a better posterior bring.

    python launch.py --config=configs/founding_claim.py:shapes --sweep=configs/sweeps/founding_claim.py

Part a changes the likelihood, b what the levels of latents are made of, c the posterior; what is not changed is a
logistic a pixel, no latents below the top, a diagonal Gaussian. The row that has both a multimodal likelihood and
multimodal latents is of a and b. docs/founding-claim.md says how long each dataset takes.
"""

from collections.abc import Iterable
from typing import Any

from ctc_jax import posteriors, sweeps

LIKELIHOODS = [
    {"likelihood.name": "gaussian"},
    {"likelihood.name": "logistic"},
    {"likelihood.name": "categorical"},
    {"likelihood.name": "ctc"},
    {"likelihood.name": "ctc", "likelihood.ctc.mask_group": "patch:4"},
]
FAMILIES = [
    {"model.ctc_hierarchy.families": "gaussian"},
    {"model.ctc_hierarchy.families": "ctc_pool", "estimator.name": "reinmax"},
    {"model.ctc_hierarchy.families": "ctc_relu", "estimator.name": "reinmax"},
    {"model.ctc_hierarchy.families": "ctc_pool", "estimator.name": "reinmax", "likelihood.name": "ctc"},
]
POSTERIORS = [{"posterior.name": name} for name in posteriors.REGISTRY if name != "diagonal"]
SEEDS = [{"seed": seed} for seed in (0, 1, 2)]


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, by row; every row of the first seed, then of the next, so that a sweep broken off has whole rows."""
    return sweeps.crossed(SEEDS, [*LIKELIHOODS, *FAMILIES, *POSTERIORS])
