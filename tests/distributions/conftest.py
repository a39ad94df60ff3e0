"""Masses of levels in float64 numpy and scipy, written without regard to speed: the oracle of this folder's tests."""

import numpy as np
import pytest
from scipy import stats


def log_survival_of_laplace(z):
    return np.where(z > 0, -z - np.log(2), np.log1p(-0.5 * np.exp(np.minimum(z, 0))))


# Log survival functions where scipy has another name, or none that is exact in the tail.
LOG_SURVIVAL = {"gaussian": stats.norm.logsf, "laplace": log_survival_of_laplace}


@pytest.fixture(scope="session")
def exact_log_mass():
    """`(family, level, loc, log_scale, bits)` to log masses, nats."""

    def log_mass(family, level, loc, log_scale, bits):
        level, loc, log_scale = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (level, loc, log_scale)))
        scale = np.exp(log_scale)
        lower = np.where(level == 0, -np.inf, (level - loc - 0.5) / scale)
        upper = np.where(level == 2**bits - 1, np.inf, (level - loc + 0.5) / scale)
        # The tails are subtracted on whichever side of the mean keeps digits.
        flip = lower + upper < 0
        near, far = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
        log_survival = LOG_SURVIVAL.get(family) or getattr(stats, family).logsf
        log_near, log_far = log_survival(near), log_survival(far)
        return log_near + np.log(-np.expm1(log_far - log_near))

    return log_mass
