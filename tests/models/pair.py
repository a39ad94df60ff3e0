"""A chain of two masked latents small enough to sum over every mask, in both orders of inference."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from ctc_jax.data import Batch
from ctc_jax.distributions import BERNOULLI, CATEGORICAL, MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.models.trace import Schedule
from ctc_jax.models.walk import known_kl

KINDS = {"categorical": CATEGORICAL, "bernoulli": BERNOULLI}
BATCH = Batch(jnp.asarray([[1, 0, 1], [0, 0, 1]], jnp.uint8), jnp.zeros(2, jnp.int32))
# Nothing of an image but what is given to baselines.
CONTEXT = jnp.arange(4.0).reshape(2, 2)
WEIGHT = 0.6
SCHEDULE = Schedule(step=jnp.int32(0), kl_weight=WEIGHT)


class Pair:
    """Two masks over four numbers, then one over two that depends on what the first drew; three binary pixels."""

    image_shape = (3,)
    latents = ("first", "second")

    def __init__(self, kind, weights):
        self.kind, self.weights = kind, weights

    @property
    def mask_sites(self):
        """Both latents."""
        return tuple(
            MaskSite(name, self.kind, self.shape(name), valued=True, coupled=True) for name in reversed(self.latents)
        )

    def shape(self, name):
        """Of one example's mask."""
        masks = 2 - Pair.latents.index(name)
        return (masks,) if self.kind is BERNOULLI else (masks, 2)

    def distribution(self, name, part, features):
        """Masks times values of a small scale, from features `[batch, 3]`."""
        shape, of = self.shape(name), self.weights[name]
        size = np.prod(shape)
        logits, loc = ((features @ of[f"{part}_{which}"])[:, :size].reshape(-1, *shape) for which in ("logits", "loc"))
        return MaskedDistribution(self.kind, logits, dist.Normal(loc, jnp.full_like(loc, 0.1)))

    def inputs(self, images):
        """Pixels around 0."""
        return images.astype(jnp.float32) - 0.5

    def encode(self, batch):
        """An image as it is."""
        return self.inputs(batch.image)

    def begin(self, count):
        """Nothing yet."""
        return jnp.zeros((count, 3))

    def prior_of(self, name, hidden):
        """Of what was drawn above."""
        return self.distribution(name, "prior", jnp.tanh(hidden + self.weights[name]["offset"][None]))

    def posterior_of(self, name, features, hidden, prior, step):
        """Of the image, and of what was drawn above or, where inference is bottom-up, below."""
        seen = features if hidden is None else features + hidden
        return self.distribution(name, "posterior", jnp.tanh(seen + self.weights[name]["offset"][None]))

    def ascend(self, name, features, latent):
        """Features that the draw has moved."""
        return features + self.projected(name, "up", latent)

    def advance(self, name, hidden, latent):
        """What the draw adds."""
        return hidden + self.projected(name, "out", latent)

    def projected(self, name, which, latent):
        """A linear layer of the product."""
        product = latent.product.reshape(len(latent.product), -1)
        return product @ self.weights[name][which][: product.shape[1]]

    def pixels(self, hidden):
        """Three binary pixels."""
        return dist.BernoulliLogits(hidden).to_event(1)


class Single(Pair):
    """The first latent alone."""

    latents = ("first",)


def weights_of(seed=0):
    """Of both latents, nowhere special."""
    random = np.random.default_rng(seed)
    shapes = {f"{part}_{which}": (3, 4) for part in ("prior", "posterior") for which in ("logits", "loc")}
    shapes |= {"offset": (3,), "out": (4, 3), "up": (4, 3)}
    return {
        name: {part: jnp.asarray(random.standard_normal(shape), jnp.float32) for part, shape in shapes.items()}
        for name in Pair.latents
    }


def by_enumeration(steps_of, keys):
    """Gradients of the weighted bound in all weights, a key each: every sum over masks is written out, values drawn.

    Args:
      steps_of: weights to the order in which latents are drawn.
      keys: of the values.
    """

    def one(weights, key):
        steps = steps_of(weights)

        def rest(carry, index, key):
            if index == len(steps.names):
                pixels, priors = steps.finish(carry)
                deferred = sum((prior.log_prob(latent) for prior, latent in priors.values()), start=0.0)
                return pixels.log_prob(BATCH.image) + WEIGHT * deferred
            name = steps.names[index]
            q, prior = steps.distributions(carry, name)
            key, value_key = jax.random.split(key)
            values, total = q.draw_values(value_key), -WEIGHT * known_kl(q, prior)
            for mask in q.kind.every(q.logits):
                probability = jnp.exp(q.kind.total_log_prob(q.logits, mask))
                total += probability * rest(steps.advance(carry, name, Masked(values, mask)), index + 1, key)
            return total

        return jnp.sum(rest(steps.start(), 0, key))

    return jax.jit(jax.vmap(jax.grad(one), in_axes=(None, 0)))(weights_of(), keys)
