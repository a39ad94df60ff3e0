"""All latents of a chain of two moved together, where the evidence is a Gaussian density."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import MaskedDistribution, standard
from ctc_jax.posteriors import REGISTRY
from tests import toys

FIRST, SECOND, DRAWS = 2, 3, 2**13
random = np.random.default_rng(0)
ACROSS, DOWN = ((0.4 * random.normal(size=shape)).astype(np.float32) for shape in ((FIRST, SECOND), (SECOND, 4)))
BATCH = Batch(jnp.asarray([[[[1], [0]], [[2], [1]]], [[[0], [0]], [[1], [3]]]], jnp.uint8), jnp.zeros(2, jnp.int32))
PATHS = {
    "hamiltonian": REGISTRY["hamiltonian"](steps=3, step_size=0.2, width=4),
    "tempered": REGISTRY["hamiltonian"](steps=2, step_size=0.2, width=4, tempering=True),
    "annealed_hamiltonian": REGISTRY["annealed_hamiltonian"](bridges=4, step_size=0.2),
}


class Linear(toys.Chain):
    """z_1 ~ N(0, I), z_2 ~ N(A z_1, I / 4), x ~ N(B z_2, I); q knows that z_2 hangs on z_1, and little of the image."""

    latents = ("first", "second")
    family = PATHS["hamiltonian"]

    @property
    def trajectory(self):
        return self.family.build(latents=FIRST + SECOND).bind({"params": self.params})

    def encode(self, batch):
        return batch.image.reshape(len(batch.image), 4).astype(jnp.float32)

    def trajectory_features(self, features):
        return features

    def prior_of(self, name, hidden):
        if name == "first":
            return standard((hidden, FIRST))
        return MaskedDistribution(None, None, dist.Normal(hidden, jnp.full_like(hidden, 0.5)))

    def posterior_of(self, name, features, hidden, prior, step):
        loc = prior.values.loc + 0.1 * features[:, : prior.values.loc.shape[1]]
        return MaskedDistribution(None, None, dist.Normal(loc, prior.values.scale))

    def advance(self, name, hidden, latent):
        return latent.product @ (ACROSS if name == "first" else DOWN)

    def pixels(self, hidden):
        return dist.Normal(hidden.reshape(-1, 2, 2, 1), 1.0).to_event(3)


def log_evidence():
    of_second = ACROSS.T @ ACROSS + 0.25 * np.eye(SECOND)
    return stats.multivariate_normal.logpdf(
        np.asarray(BATCH.image).reshape(2, 4), np.zeros(4), DOWN.T @ of_second @ DOWN + np.eye(4)
    )


@pytest.mark.parametrize("name", PATHS)
def test_the_mean_weight_of_the_whole_chain_is_the_evidence(name):
    chain = type("Moved", (Linear,), {"family": PATHS[name]})
    model, family = toys.model(chain), PATHS[name].build(latents=FIRST + SECOND)
    params = family.init(jax.random.key(0), jnp.zeros((2, FIRST + SECOND)), jnp.zeros((2, 4)), method="meet")["params"]
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    params = jax.tree.unflatten(structure, moved)

    @jax.jit
    def of(keys):
        def one(key):
            trace, bound = model.infer(params, key, BATCH), model.bound(params, key, BATCH)
            by_joint = model.joint(params, BATCH, trace.latents).total
            log_q = sum(site.log_q for site in trace.sites.values())
            return trace.log_weight, by_joint - log_q, bound.log_likelihood - sum(bound.kl.values())

        return jax.vmap(one)(keys)

    log_weights, by_joint, elbo = np.float64(of(jax.random.split(jax.random.key(2), DRAWS)))
    np.testing.assert_allclose(log_weights, by_joint, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_weights, elbo, rtol=1e-4, atol=1e-4)
    weights = np.exp(log_weights - log_evidence())
    error = weights.std(axis=0) / np.sqrt(DRAWS)
    assert 1e-3 < error.max() < 0.1
    assert np.abs((weights.mean(axis=0) - 1.0) / error).max() < 4.0
    with pytest.raises(NotImplementedError, match="own draws alone"):
        model.infer(params, None, BATCH, given=model.infer(params, None, BATCH).latents)
