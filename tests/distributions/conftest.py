"""Masses of levels in float64 numpy and scipy, written without regard to speed: the oracle of this folder's tests."""

import numpy as np
import pytest
from scipy.special import log_expit, log_ndtr


@pytest.fixture(scope="session")
def exact_log_mass():
    """`(family, level, loc, log_scale, bits)` to log masses, nats."""

    def log_survival(family, z):
        return log_expit(-z) if family == "logistic" else log_ndtr(-z)

    def log_mass(family, level, loc, log_scale, bits):
        level, loc, log_scale = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (level, loc, log_scale)))
        scale = np.exp(log_scale)
        lower = np.where(level == 0, -np.inf, (level - loc - 0.5) / scale)
        upper = np.where(level == 2**bits - 1, np.inf, (level - loc + 0.5) / scale)
        # The tails are subtracted on whichever side of the mean keeps digits.
        flip = lower + upper < 0
        near, far = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
        log_near, log_far = log_survival(family, near), log_survival(family, far)
        return log_near + np.log(-np.expm1(log_far - log_near))

    return log_mass
