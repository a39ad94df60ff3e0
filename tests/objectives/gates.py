"""A model of two gates, small enough to enumerate, and its expected importance-weighted bound."""

import itertools

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from ctc_jax.data import Batch
from ctc_jax.distributions import BERNOULLI, MaskSite
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.models import Masked
from ctc_jax.objectives import importance_weighted_bound
from tests import toys


class TwoGates(toys.Chain):
    """Two gates with q's logits `l` (times 1 + the image's number) and p's logits `p`; log p(x|m) = `r`[mask]."""

    image_shape = (1, 1, 1)
    mask_sites = (MaskSite("z", BERNOULLI, (2,), valued=False),)

    def prior_of(self, name, hidden):
        return MaskedDistribution(BERNOULLI, jnp.broadcast_to(self.params["p"][None], (hidden, 2)), None)

    def posterior_of(self, name, features, hidden, prior, step):
        numbers = 1.0 + features.label.astype(jnp.float32)[:, None]
        return MaskedDistribution(BERNOULLI, self.params["l"][None] * numbers, None)

    def advance(self, name, hidden, latent):
        return latent.mask

    def pixels(self, hidden):
        return Told(self.params["r"][(hidden @ jnp.array([2.0, 1.0])).astype(int)])


class Told(dist.Distribution):
    """A distribution whose log-probability is told, whatever the image."""

    def __init__(self, log_prob):
        self.told = log_prob
        super().__init__(log_prob.shape, (1, 1, 1))

    def log_prob(self, image):
        return self.told

    def sample(self, key, sample_shape=()):
        return jnp.zeros((*self.batch_shape, 1, 1, 1), jnp.int32)


GATES = {"l": jnp.array([0.4, -0.7]), "p": jnp.array([-0.3, 0.9]), "r": jnp.array([-2.0, -0.5, -3.0, -1.0])}
MODEL = toys.model(TwoGates)
BATCH = Batch(jnp.zeros((2, 1, 1, 1), jnp.uint8), jnp.arange(2, dtype=jnp.int32))


def exact_loss(params, samples):
    """Minus the expected bound, over every tuple of masks."""
    every = jnp.array(list(itertools.product((0.0, 1.0), repeat=2)))
    posterior = TwoGates(params).posterior_of("z", BATCH, None, None, None)

    def of_mask(mask):
        gates = jnp.broadcast_to(mask, (2, 2))
        log_q = posterior.mask_log_prob(gates)
        return log_q, MODEL.joint(params, BATCH, {"z": Masked(jnp.ones((2, 2)), gates)}).total - log_q

    log_q, weights = jax.vmap(of_mask)(every)
    tuples = jnp.array(list(itertools.product(range(4), repeat=samples)))
    bounds = importance_weighted_bound(jnp.moveaxis(weights[tuples], 1, -1))
    return -jnp.mean(jnp.sum(jnp.exp(jnp.sum(log_q[tuples], axis=1)) * bounds, axis=0))
