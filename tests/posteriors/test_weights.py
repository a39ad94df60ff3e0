"""Weights p(x, z, v) r(v) / q(z, v) of paths have the mean p(x), at two and at thirty latents, wherever they begin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from ctc_jax.posteriors import REGISTRY
from tests.posteriors.linear_gaussian import LinearGaussian

DRAWS = 2**13
PATHS = {
    "hamiltonian": REGISTRY["hamiltonian"](steps=3, step_size=0.3, width=8),
    "tempered": REGISTRY["hamiltonian"](steps=3, step_size=0.3, width=8, tempering=True),
    "annealed_hamiltonian": REGISTRY["annealed_hamiltonian"](bridges=6, step_size=0.3),
}


def problem(latents):
    """Noise so strong that the prior is near the posterior, and weights have a variance."""
    weights = np.random.default_rng(latents).normal(size=(3, latents)) / np.sqrt(latents)
    return LinearGaussian.random(weights, 1.0, 2)


def log_weights(path, latents, scale):
    """Of `DRAWS` draws for each image: paths from near the prior, all else moved away from its start."""
    truth, posterior = problem(latents), path.build(latents=latents)
    hidden = jnp.eye(2)
    params = posterior.init(jax.random.key(0), hidden, method="center")
    params["params"]["start"] = jax.tree.map(jnp.zeros_like, params["params"]["start"])
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    params = jax.tree.unflatten(
        structure, [leaf + scale * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    )

    @jax.jit
    def draw(keys):
        def one(key):
            drawn = posterior.apply(params, key, hidden, truth.prior, truth.log_joint)
            return truth.log_joint(drawn.latent) - drawn.log_q

        return jax.vmap(one)(keys)

    return np.float64(draw(jax.random.split(jax.random.key(2), DRAWS))), truth.log_evidence


@pytest.mark.parametrize("latents", [2, 30])
@pytest.mark.parametrize("name", PATHS)
def test_their_mean_is_the_evidence(name, latents):
    found, log_evidence = log_weights(PATHS[name], latents, 0.2 / latents**0.5 / 2)
    weights = np.exp(found - log_evidence)
    error = weights.std(axis=0) / np.sqrt(DRAWS)
    assert 1e-4 < error.max() < 0.2
    assert np.abs((weights.mean(axis=0) - 1.0) / error).max() < 4.0


def test_an_evidence_half_a_nat_off_would_fail_this_test():
    found, log_evidence = log_weights(PATHS["hamiltonian"], 30, 0.02)
    weights = np.exp(found - log_evidence - 0.5)
    error = weights.std(axis=0) / np.sqrt(DRAWS)
    assert np.abs((weights.mean(axis=0) - 1.0) / error).min() > 4.0


def test_more_bridges_come_closer_to_the_evidence():
    gaps = []
    for bridges, size in ((1, 0.2), (8, 0.35), (32, 0.35)):
        path = REGISTRY["annealed_hamiltonian"](bridges=bridges, step_size=size, damping=0.5)
        found, log_evidence = log_weights(path, 2, 0.0)
        gaps.append((log_evidence - found.mean(axis=0)).mean())
    assert gaps[0] > 1.5 * gaps[1] > 0
    assert gaps[1] > 1.5 * gaps[2] > 0
    assert logsumexp(found[:, 0]) - np.log(DRAWS) == pytest.approx(log_evidence[0], abs=0.05)
