"""Simulation-based calibration against models whose posterior is known: its own, and ones that are wrong on purpose."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from ctc_jax.distributions import BERNOULLI, MaskSite
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.evaluation.calibration import DRAWS, Calibration, calibration, calibration_statistics
from tests import toys

WEIGHTS, NOISE, SHARE = np.array([1.0, -0.5, 0.8, 0.3], np.float32), 0.7, 0.4
IMAGES = 300
RIGHT = {"shift": 0.0, "width": 1.0, "sees": 1.0}


class Line(toys.Chain):
    """z ~ N(0, 1), x = w z + noise; q is the posterior with its mean shifted and its width changed, or the prior."""

    def posterior_of(self, name, features, hidden, prior, step):
        x, sees = features.image.reshape(-1, 4), self.params["sees"]
        variance = 1 / (1 + sees * WEIGHTS @ WEIGHTS / NOISE**2)
        loc = sees * x @ WEIGHTS / NOISE**2 * variance + self.params["shift"]
        scale = jnp.sqrt(variance) * self.params["width"]
        return MaskedDistribution(None, None, dist.Normal(loc[:, None], jnp.broadcast_to(scale, (len(x), 1))))

    def pixels(self, hidden):
        return dist.Normal((hidden[:, None] * WEIGHTS[None]).reshape(-1, 2, 2, 1), NOISE).to_event(3)


class Gated(Line):
    """z = m s, m a gate that is open with probability SHARE; q is the posterior but for its logit's shift."""

    mask_sites = (MaskSite("z", BERNOULLI, (1,), valued=True),)

    def prior_of(self, name, hidden):
        logits = jnp.full((hidden, 1), np.log(SHARE / (1 - SHARE)), jnp.float32)
        return MaskedDistribution(BERNOULLI, logits, dist.Normal(jnp.zeros((hidden, 1)), 1.0))

    def posterior_of(self, name, features, hidden, prior, step):
        x = features.image.reshape(-1, 4)
        values = super().posterior_of(name, features, hidden, prior, step).values
        # log N(x; 0, w w^T + noise^2 I) - log N(x; 0, noise^2 I), by the posterior of the value.
        variance = 1 / (1 + WEIGHTS @ WEIGHTS / NOISE**2)
        evidence = 0.5 * ((x @ WEIGHTS / NOISE**2) ** 2 * variance + np.log(variance))
        return MaskedDistribution(BERNOULLI, prior.logits + (evidence + self.params["logit"])[:, None], values)


def statistics(chain=Line, **changes):
    params = {name: jnp.float32(value) for name, value in {**RIGHT, "logit": 0.0, **changes}.items()}
    return calibration_statistics(calibration(toys.model(chain), params, jax.random.key(1), IMAGES))


def test_the_posterior_itself_passes():
    found = statistics()
    for name in ("z", "log_likelihood"):
        assert found[f"calibration_p_value/{name}"] > 0.01
        # 12 (u - 1/2)^2 of an even u has the variance 4/5.
        assert abs(found[f"rank_spread/{name}"] - 1) < 4 * np.sqrt(0.8 / IMAGES)
        assert found[f"miscalibrated_units/{name}"] == 0
    assert found["calibration_images"] == IMAGES


@pytest.mark.parametrize(("changes", "above"), [({"width": 0.6}, 1.3), ({"shift": 0.4}, 1.1)])
def test_a_q_too_narrow_or_beside_the_posterior_is_told(changes, above):
    found = statistics(**changes)
    assert found["calibration_p_value/z"] < 1e-6
    assert found["miscalibrated_units/z"] == 1
    assert found["rank_spread/z"] > above


def test_a_q_too_wide_has_ranks_in_the_middle():
    found = statistics(width=2.0)
    assert found["calibration_p_value/z"] < 1e-6
    assert found["rank_spread/z"] < 0.7


def test_a_q_that_ignores_the_image_is_told_by_the_likelihood_alone():
    found = statistics(sees=0.0)
    assert found["calibration_p_value/z"] > 0.01
    assert found["calibration_p_value/log_likelihood"] < 1e-6


def test_gates_with_values_pass_and_a_probability_too_high_is_told():
    found = statistics(Gated)
    assert {name.partition("/")[2] for name in found} == {"z", "z_mask", "log_likelihood", ""}
    assert min(found[f"calibration_p_value/{name}"] for name in ("z", "z_mask", "log_likelihood")) > 0.01
    wrong = statistics(Gated, logit=2.0)
    assert wrong["calibration_p_value/z_mask"] < 1e-6


def test_p_values_of_even_ranks_are_even_and_those_of_uneven_ones_are_not():
    random = np.random.default_rng(0)
    even = Calibration({"z": random.integers(0, DRAWS + 1, (1000, 400))})
    assert stats.kstest(even.p_values()["z"], "uniform").pvalue > 0.01
    assert even.counts()["z"].shape == (400, 20)
    np.testing.assert_allclose(even.spread()["z"].mean(), 1.0, atol=4 * np.sqrt(0.8 / 1000 / 400))
    ends = Calibration({"z": np.repeat([[0], [DRAWS]], 20, axis=0)})
    np.testing.assert_allclose(ends.spread()["z"], (DRAWS / 2) ** 2 / (DRAWS * (DRAWS + 2) / 12))
    assert ends.counts()["z"].tolist() == [[20, 0, 0, 0, 20]]


def test_an_image_ranks_the_same_however_many_there_are():
    params = {name: jnp.float32(value) for name, value in RIGHT.items()}
    some, more = (calibration(toys.model(Line), params, jax.random.key(0), count) for count in (12, 150))
    np.testing.assert_array_equal(some.ranks["z"], more.ranks["z"][:12])
    assert more.ranks["z"].shape == (150, 1)
