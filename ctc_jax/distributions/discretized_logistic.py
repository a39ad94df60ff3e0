"""The logistic integrated over bins one level wide. Tests: test_discretized_logistic.py."""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.discretized import Discretized
from ctc_jax.distributions.value_family import ValueFamily


def _edges(level, loc, width, bits):
    """What value and derivative share; `width` is a bin's, in units of the scale.

    Returns:
      upper, lower: the bin's edges in units of the scale.
      decay_upper, decay_lower: exp(-|edge|), 0 where the edge is infinite.
      decay, inside: exp(-width) and 1 - exp(-width).
      first, last: masks of the end bins.
    """
    half = 0.5 * width
    center = (level - loc) * width
    first, last = level == 0, level == 2**bits - 1
    # The edges lie at |center| + half and ||center| - half| from the mean: two exponentials give both decays, and
    # width / 2 <= 16 keeps the quotient exact.
    decay_center, decay_half = jnp.exp(-jnp.abs(center)), jnp.exp(-half)
    far = decay_center * decay_half
    near = jnp.minimum(decay_center, decay_half) / jnp.maximum(decay_center, decay_half)
    decay_upper = jnp.where(last, 0.0, jnp.where(center >= 0, far, near))
    decay_lower = jnp.where(first, 0.0, jnp.where(center >= 0, near, far))
    decay = decay_half * decay_half
    # 1 - exp(-t) loses digits for small t; the series is good to 1e-7 relative below 1/8.
    series = width * (1 - width * (1 / 2 - width * (1 / 6 - width * (1 / 24 - width / 120))))
    inside = jnp.where(width < 0.125, series, 1 - decay)
    return center + half, center - half, decay_upper, decay_lower, decay, inside, first, last


def pieces(
    level: Float[Array, "*shape"], loc: Float[Array, "*shape"], inverse_scale: Float[Array, "*shape"], bits: int
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """`(linear, factor)` with log mass = linear + log(factor), nats; the factor is at least 2^-bits / 16.

    With bin edges a = (level - loc + 1/2) / scale and b = (level - loc - 1/2) / scale an interior bin has
    `log(1 - exp(-1 / scale)) - softplus(b) - softplus(-a)`, the first `-softplus(-a)`, the last `-softplus(b)`.
    """
    upper, lower, decay_upper, decay_lower, _, inside, first, last = _edges(level, loc, inverse_scale, bits)
    linear = jnp.where(last, 0.0, jnp.minimum(upper, 0.0)) - jnp.where(first, 0.0, jnp.maximum(lower, 0.0))
    return linear, jnp.where(first | last, 1.0, inside) / ((1 + decay_upper) * (1 + decay_lower))


def partials(
    level: Float[Array, "*shape"], loc: Float[Array, "*shape"], inverse_scale: Float[Array, "*shape"], bits: int
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Derivatives of the log mass by loc (nats a level) and by log_scale (nats)."""
    upper, lower, decay_upper, decay_lower, decay, inside, first, last = _edges(level, loc, inverse_scale, bits)
    both = (1 + decay_upper) * (1 + decay_lower)
    # Probabilities above and below the bin, times `both`; 0 beside a bin that takes that tail.
    above = jnp.where(upper > 0, decay_upper, jnp.where(last, 0.0, 1.0)) * (1 + decay_lower)
    below = jnp.where(lower < 0, decay_lower, jnp.where(first, 0.0, 1.0)) * (1 + decay_upper)
    by_loc = inverse_scale * (below - above) / both
    # d/dlog_scale of log(1 - exp(-width)), brought to the same denominator: one division in all.
    narrowing = jnp.where(first | last, 0.0, inverse_scale * decay * both)
    by_log_scale = ((lower * below - upper * above) * inside - narrowing) / (both * inside)
    return by_loc, by_log_scale


def curvature(
    level: Float[Array, "*shape"], loc: Float[Array, "*shape"], inverse_scale: Float[Array, "*shape"], bits: int
) -> Float[Array, "*shape"]:
    """Minus the second derivative of the log mass by loc, nats a squared level: the sum of the edges' densities."""
    _, _, decay_upper, decay_lower, *_ = _edges(level, loc, inverse_scale, bits)
    densities = decay_upper / (1 + decay_upper) ** 2 + decay_lower / (1 + decay_lower) ** 2
    return inverse_scale * inverse_scale * densities


def survival(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """P(standard logistic > z)."""
    decay = jnp.exp(-jnp.abs(z))
    return jnp.where(z > 0, decay, 1.0) / (1 + decay)


def noise(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard logistic draws."""
    return jax.random.logistic(key, shape, jnp.float32)


LOGISTIC = ValueFamily(pieces, partials, survival, noise)


class DiscretizedLogistic(Discretized):
    """A logistic integrated over bins one level wide."""

    family: ClassVar[ValueFamily] = LOGISTIC
    curvature: ClassVar[Callable] = curvature
