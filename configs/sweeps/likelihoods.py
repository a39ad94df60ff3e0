"""Four likelihoods, three seeds each, on whatever config is given.

    python launch.py --config=configs/cifar_ctc.py:cpu --sweep=configs/sweeps/likelihoods.py --executor=local

Two cores: twelve runs of about ten minutes. Differences under 0.06 bits per dimension are noise on one seed.
"""

from collections.abc import Iterable
from typing import Any

from ctc_jax import sweeps


def get_overrides() -> Iterable[dict[str, Any]]:
    """The runs, seeds innermost."""
    return sweeps.product({"likelihood.name": ["gaussian", "logistic", "categorical", "ctc"], "seed": [0, 1, 2]})
