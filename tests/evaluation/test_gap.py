"""The parts of the gap in closed form: of a linear-Gaussian model, and of a single mask, which has one part."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import logsumexp

from ctc_jax import posteriors
from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked, MaskedDistribution, standard
from ctc_jax.errors import UserError
from ctc_jax.evaluation.gap import Gap, gap, gap_statistics, recognition_leaves
from ctc_jax.evaluation.options import EvaluateOptions
from ctc_jax.gradients import REGISTRY
from ctc_jax.inference import AnnealingOptions
from ctc_jax.models import ChainModel
from ctc_jax.models.networks.one_latent import OneLatent
from ctc_jax.options import OptionError
from tests import toys
from tests.models.conftest import binary_images, make_model, randomize
from tests.posteriors.linear_gaussian import LinearGaussian

__all__ = ["binary_images", "make_model", "randomize"]

WEIGHTS = np.array([[1.0, 0.2], [0.6, 0.9], [0.8, 0.5], [0.1, 0.7]], np.float32)
NOISE = 0.8
IMAGES = np.array([[3, 0, 2, 1], [0, 2, 0, 0], [1, 1, 1, 1]], np.uint8).reshape(3, 2, 2, 1)
BATCH = Batch(jnp.asarray(IMAGES), jnp.zeros(3, jnp.int32))
PARAMS = {"weights": jnp.asarray(WEIGHTS), "q": {"loc": jnp.array([0.5, -0.2]), "log_scale": jnp.array([-0.1, 0.1])}}


class PrincipalComponents(toys.Chain):
    """Two latents, four pixels; the recognition model says the same of every image."""

    def prior_of(self, name, hidden):
        return standard((hidden, 2))

    def posterior_of(self, name, features, hidden, prior, step):
        shape = (len(features.image), 2)
        loc, scale = self.params["q"]["loc"], jnp.exp(self.params["q"]["log_scale"])
        return MaskedDistribution(None, None, dist.Normal(*(jnp.broadcast_to(of[None], shape) for of in (loc, scale))))

    def advance(self, name, hidden, latent):
        return latent.product

    def pixels(self, hidden):
        return dist.Normal((hidden @ self.params["weights"].T).reshape(-1, 2, 2, 1), NOISE).to_event(3)


def truth():
    """log p(x), the ELBO at the best diagonal q, and that at the recognition model, by the posterior N(m, P^-1)."""
    exact = LinearGaussian(WEIGHTS, NOISE, jnp.asarray(IMAGES.reshape(3, 4), jnp.float32))
    precision = np.float64(exact.precision)
    means = IMAGES.reshape(3, 4) @ WEIGHTS / NOISE**2 @ np.linalg.inv(precision)
    # The best diagonal q has the posterior's mean and the inverse of its precision's diagonal as variances.
    least = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    scale, apart = np.exp(np.float64(PARAMS["q"]["log_scale"])), means - np.float64(PARAMS["q"]["loc"])
    traces = np.diag(precision) @ scale**2 + np.einsum("ni,ij,nj->n", apart, precision, apart) - 2
    amortized = 0.5 * (traces - np.linalg.slogdet(precision)[1]) - np.log(scale).sum()
    return exact.log_evidence, exact.log_evidence - least, exact.log_evidence - amortized


@pytest.fixture(scope="module")
def found():
    options = {"steps": 300, "learning_rate": 0.05, "samples": 2000}
    annealing = AnnealingOptions(temperatures=100, chains=64, leapfrogs=3, step_size=0.4)
    return gap(toys.model(PrincipalComponents), PARAMS, jax.random.key(0), BATCH, annealing=annealing, **options)


def test_all_parts_are_those_of_a_linear_gaussian_model(found):
    log_likelihood, best, amortized = truth()
    assert (best - amortized).min() > 0.3
    assert (log_likelihood - best).min() > 0.05
    np.testing.assert_allclose(found.log_likelihood, log_likelihood, atol=0.03)
    np.testing.assert_allclose(found.annealed_bound, log_likelihood, atol=0.3)
    # A log weight at the best q has a standard deviation of 0.4 nats, one at the other of up to 4.
    np.testing.assert_allclose(found.best_elbo, best, atol=0.04)
    np.testing.assert_allclose(found.elbo, amortized, atol=0.4)
    np.testing.assert_allclose(found.approximation.mean(), (log_likelihood - best).mean(), atol=0.04)


class Amortized(OneLatent):
    """The same with a recognition family that sees the pixels."""

    def hidden(self, images):
        return images.reshape(len(images), -1).astype(jnp.float32)

    def decode(self, code):
        return dist.Normal((code @ WEIGHTS.T).reshape(-1, 2, 2, 1), NOISE).to_event(3)


def test_a_family_that_holds_the_posterior_has_no_approximation_gap():
    posterior = posteriors.build({"name": "full"})(2)
    model = ChainModel(Amortized(None, posterior, (2, 2, 1), 255))
    params = jax.jit(model.init)(jax.random.key(0))
    options = {"steps": 200, "learning_rate": 0.02, "samples": 500}
    numbers = gap(model, params, jax.random.key(0), BATCH, annealing=None, **options)
    log_likelihood, best_diagonal, _ = truth()
    # At the posterior itself every weight is p(x).
    np.testing.assert_allclose(numbers.best_elbo, log_likelihood, atol=0.02)
    assert (numbers.best_elbo - best_diagonal).min() > 0.05
    assert numbers.amortization.min() > 0.3


def test_the_parts_add_up_and_have_the_errors_of_means_over_images(found):
    numbers = gap_statistics(found)
    total = numbers["gap/log_likelihood_nats"] - numbers["gap/elbo_nats"]
    assert numbers["gap/approximation_nats"] + numbers["gap/amortization_nats"] == pytest.approx(total)
    error = np.sqrt(np.sum((found.amortization - found.amortization.mean()) ** 2) / 2 / 3)
    assert numbers["gap/amortization_standard_error_nats"] == pytest.approx(error)
    assert numbers["gap_images"] == 3
    one = Gap(*(None if of is None else of[:1] for of in found))
    assert "gap/amortization_standard_error_nats" not in gap_statistics(one)


def test_the_bound_that_is_higher_in_the_mean_counts():
    low, high, of = np.array([1.0, 4.0]), np.array([2.0, 3.5]), np.zeros(2)
    assert Gap(low, high, of, of).log_likelihood is high
    assert Gap(high, low, of, of).log_likelihood is high
    assert Gap(low, None, of, of).log_likelihood is low


def test_what_the_image_s_probability_needs_is_not_fitted(make_model):
    assert recognition_leaves(toys.model(PrincipalComponents), PARAMS) == (True, True, False)
    model = make_model("mlp_vae", latents=2)
    params = jax.eval_shape(model.init, jax.random.key(0))
    free = jax.tree.unflatten(jax.tree.structure(params), recognition_leaves(model, params))
    whole = {name: set(jax.tree.leaves(part)) for name, part in free.items()}
    assert all(len(of) == 1 for of in whole.values())
    assert {name for name, of in whole.items() if True in of} == {"down_0", "posterior"}


def test_one_gate_has_no_approximation_gap_and_its_evidence_is_a_sum(make_model, randomize, binary_images):
    """q of a single mask can be the posterior itself."""
    model = make_model("mask_vae", latent="bernoulli", estimator=REGISTRY["enumerate"]())
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 1.0)
    batch = Batch(binary_images.image[:3], binary_images.label[:3])
    options = {"steps": 150, "learning_rate": 0.1, "samples": 2000}
    numbers = gap(model, params, jax.random.key(0), batch, annealing=None, **options)
    by_gate = []
    for gate in (0.0, 1.0):
        latent = Masked(jnp.ones((3, 1)), jnp.full((3, 1), gate))
        by_gate.append(jax.jit(model.joint)(params, batch, {"z": latent}).total)
    np.testing.assert_allclose(numbers.log_likelihood, logsumexp(np.float64(by_gate), axis=0), atol=0.02)
    assert numbers.annealed_bound is None
    np.testing.assert_allclose(numbers.approximation, 0.0, atol=0.02)
    assert numbers.amortization.mean() > 0.05


def test_a_model_without_a_recognition_model_is_refused_in_one_line(make_model, binary_images):
    model = make_model("class_conditional", classes=2)
    params = jax.jit(model.init)(jax.random.key(0))
    with pytest.raises(UserError, match=r"^the model has no recognition model with parameters of its own$"):
        gap(model, params, jax.random.key(0), binary_images, steps=1, learning_rate=0.1, samples=1)
    assert EvaluateOptions(gap_images=3, gap_steps=7, importance_samples=9).gap["samples"] == 9
    with pytest.raises(OptionError, match=r"^gap_images is 3; allowed: 0: the model has no recognition model"):
        EvaluateOptions(gap_images=3).check_model(model)
    EvaluateOptions(gap_images=3).check_model(make_model("mlp_vae"))
