"""log p(x) of a tiny model by several ways, for tests of models with several latents."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.models.orders import Generation
from ctc_jax.models.walk import arrived
from tests.models.conftest import assert_same_mean, weights_and_bounds

DRAWS = 2**13


def log_mean(log_weights):
    """Of an importance estimate: its value and its standard error, by the delta method."""
    log_weights = np.asarray(log_weights, np.float64)
    value = logsumexp(log_weights) - np.log(len(log_weights))
    return value, np.std(np.exp(log_weights - value)) / np.sqrt(len(log_weights))


def draws_of(model, params, batch):
    """Weights and bounds of one image."""
    return jax.device_get(weights_and_bounds(model, params, jax.random.split(jax.random.key(1), DRAWS), batch))


def evidence_of_one_window(model, params, batch):
    """log p(x) of a latent that is one Gaussian number and below it one choice among four units, each with a value.

    Four masks are summed, two integrals taken by the trapezoid rule.
    """
    first, second = model.latents
    grid = np.linspace(-7.0, 7.0, 141)
    numbers, values = (part.ravel() for part in np.meshgrid(grid, grid, indexing="ij"))

    @jax.jit
    def priors(number):
        steps = Generation(model.bound_network(params), len(number))
        start = arrived(steps, steps.start(), first)
        after = arrived(steps, steps.advance(start, first, Masked(number)), second)
        (_, above), (_, below) = steps.distributions(start, first), steps.distributions(after, second)
        return above.log_prob(Masked(number)), below.logits, below.values.loc, below.values.scale

    log_first, *of_second = (np.asarray(part, np.float64) for part in priors(jnp.asarray(grid[:, None])))
    logits, loc, scale = (part[:, 0] for part in of_second)
    log_mask = logits - logsumexp(logits, axis=1, keepdims=True)

    @jax.jit
    def likelihood(number, value, mask):
        pixels = model.decode(params, {first: Masked(number), second: Masked(value, mask)})
        return pixels.log_prob(jnp.broadcast_to(batch.image, (len(number), *batch.image.shape[1:])))

    cell, terms = np.log(grid[1] - grid[0]), []
    at = np.repeat(np.arange(len(grid)), len(grid))
    for mask in np.eye(4, dtype=np.float32):
        # Values of 0 are on the grid: which one is on is the mask's to say.
        given = [np.broadcast_to(of, (len(numbers), 1, 4)) for of in (values[:, None, None], mask)]
        at_prior = log_mask[at] @ mask + norm.logpdf(values, loc[at] @ mask, scale[at] @ mask) + log_first[at]
        found = likelihood(jnp.asarray(numbers[:, None], jnp.float32), *(jnp.asarray(of, jnp.float32) for of in given))
        terms.append(at_prior + np.asarray(found, np.float64))
    return logsumexp(terms) + 2 * cell


def assert_three_questions_agree(model, params, label):
    """log p(x) from the recognition model and from the prior alone, and the ELBO as the mean of log p(x, z) - log q."""
    image = jnp.asarray(np.resize([1, 0, 1, 1], (1, *model.image_shape)), jnp.uint8)

    def from_prior(key):
        _, pixels = model.generate(params, key, 1)
        return pixels.log_prob(image)[0]

    prior, prior_error = log_mean(jax.jit(jax.vmap(from_prior))(jax.random.split(jax.random.key(2), DRAWS)))
    drawn = draws_of(model, params, Batch(image, label))
    found, error = log_mean(drawn["log_weight"][:, 0])
    assert abs(found - prior) < 4.5 * np.hypot(error, prior_error) + 1e-4
    assert max(error, prior_error) < 0.25
    by_parts = np.float64(drawn["bound"].log_likelihood - sum(drawn["bound"].kl.values()))
    assert set(drawn["bound"].kl) == set(model.latents)
    assert_same_mean(by_parts - drawn["log_weight"], 0.0)
    assert by_parts.mean() < found
    np.testing.assert_allclose(drawn["log_weight"], drawn["by_joint"], rtol=1e-4, atol=1e-4)
