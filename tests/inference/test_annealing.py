"""Annealed importance sampling against evidence in closed form, and forward against reverse."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked, standard
from ctc_jax.errors import UserError
from ctc_jax.inference.annealing import AnnealingOptions, annealed, bracketed, tuned_steps
from tests import toys

NOISE = 0.5


class Linear(toys.Chain):
    """x = W z + noise, z of as many latents as W has columns."""

    def prior_of(self, name, hidden):
        return standard((hidden, self.params["weights"].shape[1]))

    def posterior_of(self, name, features, hidden, prior, step):
        raise AssertionError("annealing knows no recognition model")

    def advance(self, name, hidden, latent):
        return latent.product

    def pixels(self, hidden):
        loc = (hidden @ self.params["weights"].T).reshape(-1, 2, 2, 1)
        return dist.Normal(loc, NOISE).to_event(3)


def problem(latents, images=3):
    """The model's parameters, images drawn from it with their latents, and log p(x)."""
    random = np.random.default_rng(latents)
    weights = (random.normal(size=(4, latents)) / np.sqrt(latents)).astype(np.float32)
    z = random.normal(size=(images, latents)).astype(np.float32)
    x = (z @ weights.T + NOISE * random.normal(size=(images, 4))).astype(np.float32)
    evidence = stats.multivariate_normal.logpdf(x, np.zeros(4), weights @ weights.T + NOISE**2 * np.eye(4))
    batch = Batch(jnp.asarray(x).reshape(-1, 2, 2, 1), jnp.zeros(images, jnp.int32))
    return {"weights": jnp.asarray(weights)}, batch, {"z": Masked(jnp.asarray(z))}, evidence


MODEL = toys.model(Linear)
SHORT = AnnealingOptions(temperatures=15, chains=2048, leapfrogs=4, step_size=0.3)


@pytest.mark.parametrize("latents", [2, 30])
def test_weights_of_forward_chains_have_the_mean_of_the_evidence(latents):
    params, batch, _, evidence = problem(latents)
    steps = tuned_steps(MODEL, params, jax.random.key(0), batch, SHORT)
    assert steps.shape == (15, 3)
    found = annealed(MODEL, params, jax.random.key(1), batch, SHORT, steps)
    weights = np.exp(np.float64(found.log_weights) - evidence)
    error = weights.std(axis=0) / np.sqrt(len(weights))
    assert 1e-3 < error.max() < 0.15
    assert np.abs((weights.mean(axis=0) - 1.0) / error).max() < 4.0


def test_inverse_weights_of_one_reverse_chain_have_the_mean_of_the_inverse_evidence():
    """Over draws of latents and image: an image's own chains all start at one exact draw of its posterior."""
    params, batch, latents, evidence = problem(2, images=4000)
    options = AnnealingOptions(temperatures=40, chains=1, leapfrogs=4, step_size=0.4, tuned=False)
    steps = tuned_steps(MODEL, params, jax.random.key(0), batch, options)
    np.testing.assert_array_equal(steps, np.full((40, 4000), 0.4, np.float32))
    found = annealed(MODEL, params, jax.random.key(2), batch, options, steps, latents)
    inverse = np.exp(evidence - np.float64(found.log_weights[0]))
    error = inverse.std() / np.sqrt(4000)
    assert 1e-3 < error < 0.1
    assert abs(inverse.mean() - 1.0) < 4 * error


def test_both_directions_bracket_the_evidence_within_a_tenth_of_a_nat():
    params, batch, latents, evidence = problem(2)
    options = AnnealingOptions(temperatures=500, chains=512, leapfrogs=5, step_size=0.3)
    steps = tuned_steps(MODEL, params, jax.random.key(3), batch, options)
    forward = annealed(MODEL, params, jax.random.key(4), batch, options, steps)
    reverse = annealed(MODEL, params, jax.random.key(5), batch, options, steps, latents)
    gap = reverse.upper - forward.lower
    assert np.all(np.abs(gap) < 0.1)
    np.testing.assert_allclose(forward.lower, evidence, atol=0.05)
    np.testing.assert_allclose(reverse.upper, evidence, atol=0.05)
    assert np.all((forward.acceptance > 0.5) & (forward.acceptance < 0.9))


def test_a_model_s_own_images_are_bracketed(make_model, randomize):
    model = make_model("mlp_vae", latents=2)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.4)
    options = AnnealingOptions(temperatures=80, chains=128, leapfrogs=3, step_size=0.3)
    forward, reverse = bracketed(model, params, jax.random.key(1), 6, options)
    # Of a log mean of n weights: their relative deviation over the root of n.
    errors = [of / of.mean(axis=0) for of in (np.exp(forward.log_weights), np.exp(-reverse.log_weights))]
    error = np.sqrt(sum(of.var(axis=0) / len(of) for of in errors))
    assert error.max() < 0.1
    assert np.all(np.abs(reverse.upper - forward.lower) < 4 * error)


def test_few_temperatures_bound_loosely_from_both_sides():
    params, batch, latents, evidence = problem(30, images=200)
    options = AnnealingOptions(temperatures=3, chains=1, leapfrogs=2, step_size=0.2)
    steps = np.full((3, 200), 0.2, np.float32)
    forward = annealed(MODEL, params, jax.random.key(6), batch, options, steps)
    reverse = annealed(MODEL, params, jax.random.key(7), batch, options, steps, latents)
    below, above = evidence - forward.lower, reverse.upper - evidence
    for gap in (below, above):
        assert gap.mean() > 4 * gap.std() / np.sqrt(200)


def test_a_model_without_latents_is_refused_in_one_line(make_model, binary_images):
    model = make_model("class_conditional", classes=2)
    params = jax.jit(model.init)(jax.random.key(0))
    with pytest.raises(UserError, match="label is given with the image; allowed: a model with a latent that is"):
        tuned_steps(model, params, jax.random.key(0), binary_images, SHORT)
