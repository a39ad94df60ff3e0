"""A model of thirty latents, made of one small network and one registry line, against a quadrature."""

from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats
from scipy.special import logsumexp

from ctc_jax import models
from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.gradients import NVIL
from ctc_jax.models import ChainModel, Model
from ctc_jax.models.setting import ModelOptions
from ctc_jax.options import option
from tests.models.conftest import assert_same_mean, weights_and_bounds

THIRTY, DECAY = 30, 0.9
DRAWS = 2**12


class Deep(nn.Module):
    """z_1 ~ N(0, 1), z_t ~ N(0.9 z_(t-1), 1), and pixels of the last; a posterior moves each by what the image says."""

    likelihood: nn.Module
    image_shape: tuple[int, int, int]
    count: int
    features: int

    mask_sites = ()

    @property
    def latents(self):
        return tuple(f"z_{index}" for index in range(self.count))

    def setup(self):
        height, width, _ = self.image_shape
        self.moves = nn.Dense(self.count)
        self.out = nn.Dense(height * width * self.features)

    def inputs(self, images):
        return images.astype(jnp.float32) - 0.5

    def encode(self, batch):
        moves = self.moves(self.inputs(batch.image).reshape(len(batch.image), -1))
        return dict(zip(self.latents, jnp.split(0.1 * moves, self.count, axis=-1), strict=True))

    def begin(self, count):
        return jnp.zeros((count, 1))

    def prior_of(self, name, hidden):
        return MaskedDistribution(None, None, dist.Normal(DECAY * hidden, jnp.ones_like(hidden)))

    def posterior_of(self, name, features, hidden, prior, step):
        return MaskedDistribution(None, None, dist.Normal(DECAY * hidden + features[name], jnp.ones_like(hidden)))

    def advance(self, name, hidden, latent):
        return latent.product

    def pixels(self, hidden):
        return self.likelihood(self.out(hidden).reshape(len(hidden), *self.image_shape[:2], self.features))


@dataclass(frozen=True)
class DeepOptions(ModelOptions):
    """How deep."""

    count: int = option(THIRTY, "latents", at_least=1)

    def build(self, shared, setting):
        return ChainModel(Deep(setting.likelihood, setting.space.shape, self.count, shared.features))


@pytest.fixture(scope="module", params=[6, pytest.param(THIRTY, marks=pytest.mark.slow)])
def deep(request, make_model, randomize):
    return built(make_model, randomize, count=request.param)


@pytest.fixture(scope="module")
def shallow(make_model, randomize):
    return built(make_model, randomize, count=5)


def built(make_model, randomize, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.REGISTRY, "deep", DeepOptions)
        model = make_model("deep", **options)
    assert isinstance(model, Model)
    return model, randomize(jax.jit(model.init)(jax.random.key(0)), 0.5)


@pytest.fixture(scope="module")
def log_evidence(deep, binary_images):
    """By quadrature over the last latent, whose marginal is a Gaussian."""
    model, params = deep
    variance = sum(DECAY ** (2 * age) for age in range(len(model.latents)))
    grid = np.linspace(-8, 8, 401) * np.sqrt(variance)

    @jax.jit
    def score(grid):
        return model.bound_network(params).pixels(grid).log_prob(binary_images.image[:, None])

    log_likelihood = np.float64(score(jnp.asarray(grid[:, None], jnp.float32)))
    return logsumexp(log_likelihood + stats.norm.logpdf(grid, scale=np.sqrt(variance)), axis=1, b=grid[1] - grid[0])


@pytest.fixture(scope="module")
def draws(deep, binary_images):
    return jax.device_get(weights_and_bounds(*deep, jax.random.split(jax.random.key(1), DRAWS), binary_images))


def test_its_evidence_is_that_of_the_quadrature(draws, log_evidence):
    np.testing.assert_allclose(np.exp(log_evidence).sum(), 1.0, rtol=1e-4)
    assert_same_mean(np.exp(np.float64(draws["log_weight"]) - log_evidence), 1.0)
    np.testing.assert_allclose(draws["log_weight"], draws["by_joint"], rtol=1e-4, atol=1e-3)


def test_its_bound_has_a_kl_for_each_latent_of_the_closed_form(deep, draws, binary_images):
    model, params = deep
    bound = draws["bound"]
    assert set(bound.kl) == set(model.latents)
    pixels = np.float64(binary_images.image).reshape(16, 4) - 0.5
    moves = 0.1 * (pixels @ np.float64(params["moves"]["kernel"]) + np.float64(params["moves"]["bias"]))
    for index, name in enumerate(model.latents):
        np.testing.assert_allclose(bound.kl[name][0], 0.5 * moves[:, index] ** 2, rtol=1e-3, atol=1e-6)
    assert_same_mean(bound.log_likelihood - sum(bound.kl.values()) - draws["log_weight"], 0.0)


def test_its_bound_reaches_every_parameter(shallow, binary_images):
    model, params = shallow
    assert set(params) == {"moves", "out", "likelihood"}
    gradient = jax.jit(
        jax.grad(lambda params: jnp.mean(model.bound(params, jax.random.key(0), binary_images).log_likelihood))
    )(params)
    assert all(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(gradient))


def test_latents_in_the_middle_may_be_given(shallow):
    model, params = shallow

    @jax.jit
    def generate(key, given):
        return model.generate(params, key, 500, given=given)[0]

    given = {"z_2": Masked(jnp.full((500, 1), 3.0))}
    latents = generate(jax.random.key(0), given)
    assert set(latents) == set(model.latents)
    np.testing.assert_array_equal(latents["z_2"].value, 3.0)
    assert stats.kstest(latents["z_0"].value[:, 0], "norm").pvalue > 1e-3
    assert stats.kstest(latents["z_3"].value[:, 0] - 3.0 * DECAY, "norm").pvalue > 1e-3


def test_at_a_temperature_each_latent_has_so_many_times_the_deviation_from_its_mean(shallow):
    model, params = shallow

    @jax.jit
    def generate(temperatures):
        return model.generate(params, jax.random.key(0), 2000, temperatures=temperatures)[0]

    plain, at_one = (generate(given) for given in ({}, dict.fromkeys(model.latents, 1.0)))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), plain, at_one)
    half = generate(dict.fromkeys(model.latents, 0.5))
    for name in model.latents:
        np.testing.assert_allclose(half[name].value, 0.5 * plain[name].value, rtol=1e-4, atol=1e-5)
    some = generate({"z_3": 0.0, "z_4": 0.0})
    np.testing.assert_array_equal(some["z_2"].value, plain["z_2"].value)
    np.testing.assert_allclose(some["z_4"].value, DECAY**2 * plain["z_2"].value, rtol=1e-5)


def test_without_a_key_inference_is_at_the_centers(shallow, binary_images):
    model, params = shallow
    trace = jax.jit(model.infer)(params, None, binary_images)
    again = jax.jit(model.infer)(params, None, binary_images)
    jax.tree.map(np.testing.assert_array_equal, trace.latents, again.latents)
    for name, site in trace.sites.items():
        np.testing.assert_allclose(trace.latents[name].product, site.posterior.values.loc, rtol=1e-6)


def test_what_an_estimator_learns_stands_beside_the_network(make_model, randomize, binary_images):
    model = make_model("mask_vae", latents=2, estimator=NVIL(width=3))
    params = jax.jit(model.init)(jax.random.key(0))
    plain = jax.jit(make_model("mask_vae", latents=2).init)(jax.random.key(0))
    learned = params["estimator"]
    assert set(learned) == {"z"}
    jax.tree.map(np.testing.assert_array_equal, {**plain, "estimator": learned}, params)
    # Features of the input: the pixels of one image.
    assert {leaf.shape[0] for leaf in jax.tree.leaves(learned["z"]["baseline"]) if leaf.ndim == 2} == {4, 3}
    gradient = jax.jit(
        jax.grad(lambda params: jnp.sum(model.bound(params, jax.random.key(0), binary_images).log_likelihood))
    )(randomize(params))
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient["estimator"]["z"]["baseline"]))


def test_the_same_questions_have_the_same_answers_whoever_is_in_the_batch(shallow, binary_images):
    model, params = shallow
    joint = jax.jit(model.joint)
    latents = jax.jit(partial(model.infer, params))(None, binary_images).latents
    together = joint(params, binary_images, latents).total
    alone = joint(params, Batch(*(leaf[3:4] for leaf in binary_images)), jax.tree.map(lambda leaf: leaf[3:4], latents))
    np.testing.assert_allclose(alone.total, together[3:4], rtol=1e-4)
