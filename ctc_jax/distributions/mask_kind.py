"""The two kinds of mask, for estimators that serve both. Tests: tests/distributions/test_mask_kind.py.

A mask's logits are `[batch, *places]` for a Bernoulli mask and `[batch, *places, categories]` for a categorical one;
masks have the shape of their logits, and are 0 or 1.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


@dataclass(frozen=True)
class MaskKind:
    """What an estimator needs to know of a kind of mask.

    Attributes:
      name: bernoulli or categorical.
      probs: logits to the mean mask.
      log_prob: `(logits, masks)` to log-probabilities of each place, without the axis of categories.
      noise: `(key, shape)` to noise such that `harden(logits + noise)` is a sample.
      harden: perturbed logits to masks.
      soften: perturbed logits, already divided by a temperature, to relaxed masks.
      jacobian_product: `(mean masks, vectors)` to the vectors times the Jacobian of the mean in the logits.
      alternatives: logits to the masks of one place, `[alternatives, (categories)]`.
    """

    name: str
    probs: Callable
    log_prob: Callable
    noise: Callable
    harden: Callable
    soften: Callable
    jacobian_product: Callable
    alternatives: Callable

    def sample(self, key: Key[Array, ""], logits: Float[Array, "..."], count: int = 1) -> Float[Array, "count ..."]:
        """Independent masks; no gradient."""
        shape = (count, *logits.shape)
        return jax.lax.stop_gradient(self.harden(jnp.broadcast_to(logits, shape) + self.noise(key, shape)))

    def total_log_prob(
        self, logits: Float[Array, "batch ..."], masks: Float[Array, "batch ..."]
    ) -> Float[Array, "batch"]:
        """Log-probability of all places of an example, nats."""
        return total(self.log_prob(logits, masks))

    def places(self, logits: Float[Array, "batch ..."]) -> tuple[int, ...]:
        """Shape of the places of one example."""
        return logits.shape[1:] if self.name == "bernoulli" else logits.shape[1:-1]

    def every(self, logits: Float[Array, "batch ..."]) -> Float[Array, "masks batch ..."]:
        """Every mask of an example, for all examples alike: alternatives to the power of places."""
        alternatives, places = self.alternatives(logits), self.places(logits)
        count = 1
        for size in places:
            count *= size
        index = jnp.asarray(list(itertools.product(range(len(alternatives)), repeat=count)))
        masks = alternatives[index].reshape(len(index), 1, *logits.shape[1:])
        return jnp.broadcast_to(masks, (len(index), *logits.shape))


def total(values: Float[Array, "batch ..."]) -> Float[Array, "batch"]:
    """Sum over all but the first axis."""
    return jnp.sum(values.reshape(len(values), -1), axis=-1)


def _one_hot_argmax(perturbed):
    return jax.nn.one_hot(jnp.argmax(perturbed, axis=-1), perturbed.shape[-1], dtype=perturbed.dtype)


BERNOULLI = MaskKind(
    "bernoulli",
    probs=jax.nn.sigmoid,
    log_prob=lambda logits, masks: masks * logits - jax.nn.softplus(logits),
    noise=jax.random.logistic,
    harden=lambda perturbed: (perturbed > 0).astype(perturbed.dtype),
    soften=jax.nn.sigmoid,
    jacobian_product=lambda mean, vectors: mean * (1.0 - mean) * vectors,
    alternatives=lambda logits: jnp.arange(2, dtype=logits.dtype),
)

CATEGORICAL = MaskKind(
    "categorical",
    probs=jax.nn.softmax,
    log_prob=lambda logits, masks: jnp.sum(masks * jax.nn.log_softmax(logits), axis=-1),
    noise=jax.random.gumbel,
    harden=_one_hot_argmax,
    soften=jax.nn.softmax,
    jacobian_product=lambda mean, vectors: mean * (vectors - jnp.sum(mean * vectors, axis=-1, keepdims=True)),
    alternatives=lambda logits: jnp.eye(logits.shape[-1], dtype=logits.dtype),
)

KINDS = {kind.name: kind for kind in (BERNOULLI, CATEGORICAL)}
