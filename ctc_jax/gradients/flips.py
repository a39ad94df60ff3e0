"""Single flips of a sampled mask, and the rewards they lead to. Tests: tests/gradients/test_flips.py.

Masks are seen as `[batch, dimensions, categories]`; a gate has one category, being on, and being off adds nothing.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.distributions.mask_kind import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.gradients.sparse_reward import SparseReward


class SampledMask(NamedTuple):
    """A mask and what a flip of it needs, nothing of it differentiable.

    Attributes:
      mask: 0 or 1.
      probs: mean of the mask.
      values: what it multiplies.
      weights: row of the linear layer that each category adds, times its value, to hidden.
      sign: of the reward after flipping a category less that before, in the derivative by its probability: one of a
        categorical mask is only ever switched on, a gate that is on is switched off.
      effect: size of the gradient of a category's probability in its dimension's logits; 0 where nothing can
        be flipped.
    """

    mask: Float[Array, "batch dimensions categories"]
    probs: Float[Array, "batch dimensions categories"]
    values: Float[Array, "batch dimensions categories"]
    weights: Float[Array, "dimensions categories hidden"]
    sign: Float[Array, "batch dimensions categories"]
    effect: Float[Array, "batch dimensions categories"]

    @property
    def binary(self) -> bool:
        """Whether the mask is made of gates."""
        return self.mask.shape[-1] == 1

    def own(self) -> Float[Array, "batch dimensions hidden"]:
        """What each dimension adds to hidden."""
        return jnp.einsum("bda,dah->bdh", self.mask * self.values, self.weights)

    def mean(self) -> Float[Array, "batch dimensions hidden"]:
        """What each dimension adds to hidden in the mean."""
        return jnp.einsum("bda,dah->bdh", self.probs * self.values, self.weights)

    def squared_lengths(self) -> Float[Array, "batch dimensions categories"]:
        """Squared distance that hidden moves by, for each flip; 0 for none."""
        if self.binary:
            return self.values**2 * jnp.sum(self.weights**2, axis=-1)[None]
        products = jnp.einsum("dah,dch->dac", self.weights, self.weights)
        squares = jnp.einsum("daa->da", products)[None] * self.values**2
        own = self.mask * self.values
        from_own = jnp.sum(self.mask * squares, axis=-1, keepdims=True)
        moved = squares - 2.0 * self.values * jnp.einsum("bdc,dca->bda", own, products) + from_own
        return jnp.maximum(moved, 0.0) * (1.0 - self.mask)


def sampled_mask(
    mask: Float[Array, "batch *masks"], probs: Float[Array, "batch *masks"], reward: SparseReward, kind: MaskKind
) -> SampledMask:
    """A mask as flips of it need it.

    Raises:
      ValueError: a categorical mask has one category, which leaves nothing to flip.
    """
    mask, probs, values = (by_category(x, kind) for x in (mask, probs, reward.values))
    weights = reward.weights.reshape(*mask.shape[1:], -1)
    if kind == BERNOULLI:
        sign, effect = 1.0 - 2.0 * mask, probs * (1.0 - probs)
    elif mask.shape[-1] < 2:
        raise ValueError("a categorical mask has 1 category; allowed: 2 or more")
    else:
        squares = jnp.sum(probs**2, axis=-1, keepdims=True)
        # Length of p_a (e_a - p); its square can round below 0 where p is one-hot.
        effect = probs * jnp.sqrt(jnp.maximum(1.0 - 2.0 * probs + squares, 0.0)) * (1.0 - mask)
        sign = 1.0 - mask
    return SampledMask(*jax.lax.stop_gradient((mask, probs, values, weights, sign, effect)))


def by_category(x: Float[Array, "batch *masks"], kind: MaskKind) -> Float[Array, "batch dimensions categories"]:
    """Masks, values or logits, an axis for dimensions and one for their categories."""
    return x.reshape(len(x), -1, x.shape[-1] if kind == CATEGORICAL else 1)


class Flips(NamedTuple):
    """Flips drawn independently of one another, with replacement.

    Attributes:
      index: of the category, among dimensions times categories.
      moves: by which hidden moves.
      weight: the reciprocal of a category's expected number of draws, times its sign.
    """

    index: Int[Array, "batch flips"]  # type: ignore[assignment]
    moves: Float[Array, "batch flips hidden"]
    weight: Float[Array, "batch flips"]

    def of(self, x: Float[Array, "batch dimensions categories"]) -> Float[Array, "batch flips"]:
        """The values of x at the flips."""
        return jnp.take_along_axis(x.reshape(len(x), -1), self.index, axis=1)


def draw(
    key: Key[Array, ""],
    sampled: SampledMask,
    size: Float[Array, "batch dimensions categories"],
    count: int,
    floor: float = 0.1,
) -> Flips:
    """Draw flips with probabilities in proportion to `size`, mixed with a uniform one so that none is left out.

    Args:
      key: of the draw.
      sampled: the mask.
      size: expected size of what a flip contributes, nonnegative.
      count: flips of each example.
      floor: share of the uniform distribution over categories that can be flipped.
    """
    batch, _, categories = sampled.mask.shape
    possible = jnp.abs(sampled.sign).reshape(batch, -1)
    possible = possible / jnp.sum(possible, axis=-1, keepdims=True)
    size = size.reshape(batch, -1) * (possible > 0)
    sum_of_sizes = jnp.sum(size, axis=-1, keepdims=True)
    chosen = jnp.where(sum_of_sizes > 0, size / jnp.where(sum_of_sizes > 0, sum_of_sizes, 1.0), possible)
    probs = (1.0 - floor) * chosen + floor * possible
    steps = jnp.cumsum(probs, axis=-1)
    at = jax.random.uniform(key, (batch, count), probs.dtype) * steps[:, -1:]
    index = jax.vmap(lambda steps, at: jnp.searchsorted(steps, at, side="right"))(steps, at)
    # Rounding can put the largest number drawn onto the last step.
    index = jnp.minimum(index, probs.shape[1] - 1)

    rows = sampled.weights.reshape(-1, sampled.weights.shape[-1])
    values = sampled.values.reshape(batch, -1)

    def added(index):
        return jnp.take_along_axis(values, index, axis=1)[..., None] * rows[index]

    sign = jnp.take_along_axis(sampled.sign.reshape(batch, -1), index, axis=1)
    if sampled.binary:
        moves = sign[..., None] * added(index)
    else:
        dimension = index // categories
        current = jnp.take_along_axis(jnp.argmax(sampled.mask, axis=-1), dimension, axis=1)
        moves = added(index) - added(dimension * categories + current)
    drawn = jnp.take_along_axis(probs, index, axis=1)
    weight = jnp.where(drawn > 0, sign / (count * jnp.where(drawn > 0, drawn, 1.0)), 0.0)
    return Flips(index, moves, weight)
