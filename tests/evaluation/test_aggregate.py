import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from ctc_jax.data import Split
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.evaluation.aggregate import aggregate_statistics, discrepancy
from tests import toys
from tests.models.conftest import make_model

__all__ = ["make_model"]


class Shifted(toys.Chain):
    """q(z|x) = N(params[0], params[1]^2) of every image, so that this is the law of all images together."""

    def posterior_of(self, name, features, hidden, prior, step):
        loc, scale = (jnp.broadcast_to(of, (len(features.image), 1)) for of in self.params)
        return MaskedDistribution(None, None, dist.Normal(loc, scale))

    def pixels(self, hidden):
        return dist.Normal(jnp.zeros((len(hidden), 2, 2, 1)), 1.0).to_event(3)


SPLIT = Split(np.zeros((450, 2, 2, 1), np.uint8), np.zeros(450, np.int32))


def statistics(loc, scale, images=400):
    params = jnp.float32(loc), jnp.float32(scale)
    return aggregate_statistics(toys.model(Shifted), params, SPLIT, images=images, seed=0)


def test_the_prior_s_own_law_has_no_discrepancy():
    found = statistics(0.0, 1.0)
    assert abs(found["aggregate_mean_shift/z"]) < 4 * np.sqrt(2 / 400)
    # The variance of one set over that of another: relative error 2 / sqrt(n).
    assert abs(found["aggregate_variance_ratio/z"] - 1) < 4 * 2 / np.sqrt(400)
    assert found["aggregate_p_value/z"] > 0.01
    assert abs(found["aggregate_discrepancy/z"]) < 0.01


@pytest.mark.parametrize(("loc", "scale"), [(0.5, 1.0), (0.0, 0.5)])
def test_a_shift_and_a_lack_of_width_are_told(loc, scale):
    found = statistics(loc, scale)
    assert found["aggregate_p_value/z"] <= 1 / 200
    assert found["aggregate_variance_ratio/z"] == pytest.approx(scale**2, rel=4 * 2 / np.sqrt(400))
    together = np.sqrt((1 + scale**2) / 2 + loc**2 / 4)
    assert found["aggregate_mean_shift/z"] == pytest.approx(loc / together, abs=4 * np.sqrt(2 / 400))


def test_more_images_than_there_are_count_once():
    assert statistics(0.0, 1.0, images=9_999) == statistics(0.0, 1.0, images=450)


def test_the_discrepancy_of_two_gaussians_is_that_of_their_closed_form_and_its_p_value_is_even():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(1500, 1)), random.normal(size=(1500, 1)) + 2.0
    found, chance = discrepancy(one, other, 0)
    both = np.concatenate([one, other])
    width = np.median((both - both.T)[np.triu_indices(3000, 1)] ** 2)
    # E exp(-(x - y)^2 / w) of x - y ~ N(d, 2).
    kernel = lambda apart: np.sqrt(width / (width + 4)) * np.exp(-(apart**2) / (width + 4))  # noqa: E731
    assert found == pytest.approx(2 * kernel(0.0) - 2 * kernel(2.0), rel=0.1)
    assert chance == 1 / 201
    chances = [discrepancy(*random.normal(size=(2, 30, 2)), seed)[1] for seed in range(200)]
    assert abs(np.mean(chances) - 0.5) < 4 * np.sqrt(1 / 12 / 200)


def test_units_that_never_vary_are_alike(make_model):
    model = make_model("mask_vae", latent="bernoulli")
    params = jax.tree.map(lambda leaf: leaf * 0.0, jax.jit(model.init)(jax.random.key(0)))
    found = aggregate_statistics(model, params, SPLIT, images=60, seed=0)
    assert np.isfinite(list(found.values())).all()
