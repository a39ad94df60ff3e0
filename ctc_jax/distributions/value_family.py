"""A family of values on pixel levels: a location-scale density integrated over bins. Tests: test_value_family.py.

Levels are the integers 0..2^bits-1, each bin is one level wide, and the first and last bins take the tails, so that
the masses sum to 1. Location and scale are in levels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

# Below this a bin holds the whole value (its mass is 1 - 2e-7 at the center for the logistic).
MIN_SCALE = 1 / 32
# Times 2^bits: above this a value is all but uniform between the two tails.
MAX_RELATIVE_SCALE = 4.0


def log_scale_limits(bits: int) -> tuple[float, float]:
    """The range that every log-scale is clamped to, in log levels; the gradient is 0 outside."""
    return math.log(MIN_SCALE), math.log(MAX_RELATIVE_SCALE * 2**bits)


@dataclass(frozen=True)
class ValueFamily:
    """What a family must offer; everything else about its values is written once, below.

    Attributes:
      log_mass: `(level, loc, log_scale, bits) -> nats`, elementwise over arrays of one shape, clamping log_scale.
      survival: standardized survival function, P(z > value).
      noise: `(key, shape)` standardized draws.
    """

    log_mass: Callable[[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."], int], Float[Array, "..."]]
    survival: Callable[[Float[Array, "..."]], Float[Array, "..."]]
    noise: Callable[[Key[Array, ""], tuple[int, ...]], Float[Array, "..."]]

    def sample(
        self, key: Key[Array, ""], loc: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], bits: int
    ) -> Int[Array, "*shape"]:
        """Levels drawn by rounding a continuous draw into its bin, the tails into the end bins."""
        scale = jnp.exp(jnp.clip(log_scale, *log_scale_limits(bits)))
        value = loc + scale * self.noise(key, loc.shape)
        return jnp.clip(jnp.round(value), 0, 2**bits - 1).astype(jnp.int32)

    def mean(self, loc: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], bits: int) -> Float[Array, "*shape"]:
        """Exact mean in levels: the sum over levels j >= 1 of P(x >= j), accumulated without an axis of levels."""
        inverse = jnp.exp(-jnp.clip(log_scale, *log_scale_limits(bits)))

        def add(level, total):
            return total + self.survival((level - 0.5 - loc) * inverse)

        last = 2**bits - 1
        return lax.fori_loop(1, last + 1, add, jnp.zeros_like(loc), unroll=min(last, 15))

    def mode(self, loc: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], bits: int) -> Int[Array, "*shape"]:
        """The most probable level: the bin nearest to loc, or an end bin where its tail holds more."""
        best = jnp.clip(jnp.round(loc), 0, 2**bits - 1)
        best_log_mass = self.log_mass(best, loc, log_scale, bits)
        for end in (0.0, 2.0**bits - 1):
            candidate = jnp.full_like(loc, end)
            log_mass = self.log_mass(candidate, loc, log_scale, bits)
            best = jnp.where(log_mass > best_log_mass, candidate, best)
            best_log_mass = jnp.maximum(log_mass, best_log_mass)
        return best.astype(jnp.int32)


def standard_logistic(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard logistic draws, float32."""
    return jax.random.logistic(key, shape, jnp.float32)


def standard_normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard normal draws, float32."""
    return jax.random.normal(key, shape, jnp.float32)
