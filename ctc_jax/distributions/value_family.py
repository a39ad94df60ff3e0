"""A family of values on pixel levels: a location-scale density integrated over bins. Tests: test_value_family.py.

Levels are the integers 0..2^bits-1, each bin is one level wide, and the first and last bins take the tails, so that
the masses sum to 1. Locations and scales are in levels.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

# Below this a bin holds the whole value: the logistic's mass at its center is 1 - 2e-7.
MIN_SCALE = 1 / 32
# Times 2^bits: above this nearly all mass is in the two tails.
MAX_RELATIVE_SCALE = 4.0


def log_scale_limits(bits: int) -> tuple[float, float]:
    """The range that every log-scale is clamped to, in log levels; the gradient is 0 outside."""
    return math.log(MIN_SCALE), math.log(MAX_RELATIVE_SCALE * 2**bits)


@dataclass(frozen=True)
class ValueFamily:
    """What a family must offer, elementwise; everything else about its values is written once, below.

    Built on `exp`, `log` and arithmetic alone: XLA's CPU backend vectorizes these and nothing else of the kind
    (`log1p`, `expm1`, `softplus`, `erfc` cost tens of times as much an element).

    Attributes:
      pieces: `(level, loc, inverse_scale, bits) -> (linear, factor)` with `log mass = linear + log(factor)` and a
        factor far enough from 0 that the product over an image's channels does not underflow.
      partials: `(level, loc, inverse_scale, bits)` to the derivatives of the log mass by loc and by log_scale.
      survival: standardized survival function, P(z > value).
      noise: `(key, shape)` standardized draws.
    """

    pieces: Callable
    partials: Callable
    survival: Callable
    noise: Callable

    def log_mass(
        self,
        level: Float[Array, "terms *shape"],
        loc: Float[Array, "terms *shape"],
        log_scale: Float[Array, "terms *shape"],
        bits: int,
    ) -> Float[Array, "*shape"]:
        """Log mass of levels, summed over the leading axis (an image's channels), nats; exact in both tails.

        Args:
          level: integers 0..2^bits-1 as floats; no gradient flows to them.
          loc: in levels.
          log_scale: log levels; clamped to `log_scale_limits(bits)`, where its gradient ends.
          bits: 1 to 8.

        The derivative is written by hand for reverse mode; it has no forward mode.
        """
        return _log_mass(self, bits, level, loc, log_scale)

    def sample(
        self, key: Key[Array, ""], loc: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], bits: int
    ) -> Int[Array, "*shape"]:
        """Levels drawn by rounding a continuous draw into its bin, the tails into the end bins."""
        value = loc + self.noise(key, loc.shape) / inverse_of(log_scale, bits)
        return jnp.clip(jnp.round(value), 0, 2**bits - 1).astype(jnp.int32)

    def mean(self, loc: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], bits: int) -> Float[Array, "*shape"]:
        """Exact mean in levels: the sum over levels j >= 1 of P(x >= j), accumulated without an axis of levels."""
        inverse = inverse_of(log_scale, bits)

        def add(level, total):
            return total + self.survival((level - 0.5 - loc) * inverse)

        last = 2**bits - 1
        return lax.fori_loop(1, last + 1, add, jnp.zeros_like(loc), unroll=min(last, 15))

    def mode(self, loc: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], bits: int) -> Int[Array, "*shape"]:
        """The most probable level: the bin nearest to loc, or an end bin where its tail holds more."""
        best = jnp.clip(jnp.round(loc), 0, 2**bits - 1)
        best_log_mass = self.log_mass(best[None], loc[None], log_scale[None], bits)
        for end in (0.0, 2.0**bits - 1):
            candidate = jnp.full_like(loc, end)
            log_mass = self.log_mass(candidate[None], loc[None], log_scale[None], bits)
            best = jnp.where(log_mass > best_log_mass, candidate, best)
            best_log_mass = jnp.maximum(log_mass, best_log_mass)
        return best.astype(jnp.int32)


def inverse_of(log_scale: Float[Array, "*shape"], bits: int) -> Float[Array, "*shape"]:
    """1 / scale, in 1 / levels, of a log-scale clamped to `log_scale_limits(bits)`."""
    return jnp.exp(-jnp.clip(log_scale, *log_scale_limits(bits)))


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _log_mass(family, bits, level, loc, log_scale):
    linear, product = 0.0, 1.0
    # Unrolled, with one logarithm for all: a reduction would be a second pass over memory.
    for term in range(loc.shape[0]):
        piece, factor = family.pieces(level[term], loc[term], inverse_of(log_scale[term], bits), bits)
        linear, product = linear + piece, product * factor
    return linear + jnp.log(product)


def _forward(family, bits, level, loc, log_scale):
    # The inputs are saved, not what value and derivative share, which XLA may store or compute twice. Computed from
    # whole arrays, as in the backward pass, it is the same expression there, found and computed once.
    linear, factor = family.pieces(level, loc, inverse_of(log_scale, bits), bits)
    value = reduce(operator.add, linear) + jnp.log(reduce(operator.mul, factor))
    return value, (level, loc, log_scale)


def _backward(family, bits, saved, cotangent):
    level, loc, log_scale = saved
    by_loc, by_log_scale = family.partials(level, loc, inverse_of(log_scale, bits), bits)
    low, high = log_scale_limits(bits)
    by_log_scale = jnp.where((log_scale >= low) & (log_scale <= high), by_log_scale, 0.0)
    cotangent = jnp.broadcast_to(cotangent[None], loc.shape)
    return None, cotangent * by_loc, cotangent * by_log_scale


_log_mass.defvjp(_forward, _backward)
