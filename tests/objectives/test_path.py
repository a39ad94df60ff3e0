"""Gradients along paths: the same mean as the total ones, and less noise."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.models import END
from ctc_jax.objectives import Elbo, ImportanceWeighted
from ctc_jax.objectives.path import check_path, draws, path_bound
from ctc_jax.options import OptionError
from tests import toys

KEYS, STEP = 2**14, jnp.zeros((), jnp.int32)
DIRECTION = jnp.array([0.8, -0.5, 0.3, 1.0]).reshape(1, 2, 2, 1)
IMAGES = Batch(jnp.array([[1, 0, 0, 1], [0, 2, 1, 0]]).reshape(2, 2, 2, 1), jnp.zeros(2, jnp.int32))


class Linear(toys.Chain):
    """z_1 ~ N(0, 1), z_2 ~ N(a z_1, 1), x ~ N(w z_2, 1), q of z_2 linear in x and z_1: probabilistic PCA with a level.

    Every mean of p and q has its own parameter, the scales of q as well.
    """

    latents = ("first", "second")

    def begin(self, count):
        return jnp.zeros((count, 1))

    def prior_of(self, name, hidden):
        loc = hidden if name == "first" else self.params["a"] * hidden
        return MaskedDistribution(None, None, dist.Normal(loc, jnp.ones_like(loc)))

    def posterior_of(self, name, features, hidden, prior, step):
        seen = jnp.sum(features.image * DIRECTION, axis=(1, 2, 3))[:, None]
        loc = self.params[f"{name}_of_image"] * seen
        if name == "second":
            loc += self.params["second_of_first"] * hidden
        return MaskedDistribution(None, None, dist.Normal(loc, jnp.exp(self.params[f"{name}_log_scale"])))

    def advance(self, name, hidden, latent):
        return latent.value

    def pixels(self, hidden):
        return dist.Normal(self.params["w"] * hidden[:, :, None, None] * DIRECTION, 1.0).to_event(3)


MODEL = toys.model(Linear)
GENERATIVE = {"a": jnp.float32(0.7), "w": jnp.float32(0.9)}
ROUGH = {
    "first_of_image": jnp.float32(0.1),
    "second_of_image": jnp.float32(0.25),
    "second_of_first": jnp.float32(0.4),
    "first_log_scale": jnp.float32(0.1),
    "second_log_scale": jnp.float32(-0.2),
}


def exact():
    """The parameters with which q is p(z|x)."""
    a, w = 0.7, 0.9
    square = w**2 * float(jnp.sum(DIRECTION**2))
    # Of z_2 given x and z_1; of z_1 given x, by what x says of z_2 with z_2 ~ N(a z_1, 1) integrated out.
    second, told = 1.0 + square, square / (1.0 + square)
    first = 1.0 + a**2 * told
    return {
        "second_of_image": w / second,
        "second_of_first": a / second,
        "second_log_scale": -0.5 * np.log(second),
        "first_of_image": a * w / (1.0 + square) / first,
        "first_log_scale": -0.5 * np.log(first),
    }


def gradients(objective, params, keys=KEYS, seed=0):
    def one(key):
        return jax.grad(lambda params: objective(MODEL, params, key, IMAGES, STEP)[0])(params)

    return jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), keys)))


def z_scores(one, other):
    return {
        name: (one[name].mean() - other[name].mean())
        / np.sqrt(one[name].var() / len(one[name]) + other[name].var() / len(other[name]) + 1e-12)
        for name in one
    }


@pytest.fixture(scope="module")
def rough():
    return {**GENERATIVE, **ROUGH}


@pytest.fixture(scope="module")
def total(rough):
    return gradients(ImportanceWeighted(6), rough)


def test_sticking_the_landing_has_the_mean_of_the_total_gradient(rough):
    scores = z_scores(gradients(Elbo(), rough), gradients(Elbo(gradient="sticking_the_landing"), rough, seed=1))
    assert max(map(abs, scores.values())) < 4.0


def test_at_the_exact_posterior_sticking_the_landing_has_no_variance_and_the_bound_is_the_evidence():
    params = {**GENERATIVE, **{name: jnp.float32(value) for name, value in exact().items()}}
    found = gradients(Elbo(gradient="sticking_the_landing"), params, keys=64)
    noisy = gradients(Elbo(), params, keys=64)
    for name in ROUGH:
        assert np.abs(found[name]).max() < 1e-4
        assert np.abs(noisy[name]).max() > 0.05

    @jax.jit
    def bound(key):
        parts = path_bound(MODEL, params, IMAGES, draws(MODEL.infer(params, key, IMAGES)), END)
        return parts.log_likelihood - sum(parts.kl.values())

    images = np.asarray(IMAGES.image).reshape(2, 4)
    direction = np.asarray(DIRECTION).ravel() * 0.9
    covariance = np.eye(4) + (1 + 0.7**2) * np.outer(direction, direction)
    evidence = stats.multivariate_normal.logpdf(images, np.zeros(4), covariance)
    np.testing.assert_allclose(bound(jax.random.key(5)), evidence, rtol=1e-4)


def test_doubly_reparameterized_has_the_mean_of_the_total_gradient_and_less_noise(rough, total):
    found = gradients(ImportanceWeighted(6, gradient="doubly_reparameterized"), rough, seed=1)
    assert max(map(abs, z_scores(total, found).values())) < 4.0
    assert all(np.abs(found[name].mean()) > 6 * found[name].std() / np.sqrt(KEYS) for name in found)
    assert all(found[name].std() < total[name].std() for name in ROUGH)


def test_sticking_the_landing_is_biased_where_there_are_several_samples(rough, total):
    found = gradients(ImportanceWeighted(6, gradient="sticking_the_landing"), rough, seed=1)
    scores = z_scores(total, found)
    assert max(abs(scores[name]) for name in GENERATIVE) < 4.0
    assert max(abs(scores[name]) for name in ROUGH) > 10.0


def test_the_signal_of_q_grows_with_the_samples_where_it_is_doubly_reparameterized(rough):
    def signal(gradient, samples):
        found = gradients(ImportanceWeighted(samples, gradient=gradient), rough, keys=2**12)
        return np.array([np.abs(found[name].mean()) / found[name].std() for name in ROUGH])

    assert (signal("doubly_reparameterized", 64) > 2.0 * signal("doubly_reparameterized", 4)).all()
    assert np.median(signal("total", 64) / signal("total", 4)) < 1.0


def test_losses_and_metrics_are_those_of_the_total_gradient(rough):
    one, other = (
        jax.jit(ImportanceWeighted(3, gradient=name), static_argnums=0)(MODEL, rough, jax.random.key(0), IMAGES, STEP)
        for name in ("total", "doubly_reparameterized")
    )
    np.testing.assert_allclose(one[0], other[0], rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one[1], other[1])


def test_masks_have_no_path():
    class Gated(toys.Silent):
        mask_sites = (type("Site", (), {"name": "code"}),)

    with pytest.raises(OptionError, match=r"^gradient is 'x'; allowed: total: there is no path through .* code$"):
        check_path(Gated(), "gradient", "x")
