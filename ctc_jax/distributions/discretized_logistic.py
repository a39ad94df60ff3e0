"""The logistic integrated over bins, with a derivative built on exp and log alone. Tests: test_discretized_logistic.py.

XLA's CPU backend vectorizes exp and log and nothing else of the kind; `log1p`, `expm1`, `softplus` and their
derivatives cost tens of times as much an element.
"""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions.discretized import Discretized
from ctc_jax.distributions.value_family import ValueFamily, log_scale_limits, standard_logistic


def _terms(level, loc, log_scale, bits):
    """What value and gradient share.

    Returns:
      inverse: 1 / scale, which is also the width of a bin in units of the scale.
      upper, lower: the bin's edges in those units; decay_upper, decay_lower: exp(-|edge|), 0 at infinity.
      decay, inside: exp(-inverse) and 1 - exp(-inverse).
      first, last: masks of the end bins.
    """
    inverse = jnp.exp(-jnp.clip(log_scale, *log_scale_limits(bits)))
    first, last = level == 0, level == 2**bits - 1
    upper = (level - loc + 0.5) * inverse
    lower = (level - loc - 0.5) * inverse
    decay_upper = jnp.where(last, 0.0, jnp.exp(-jnp.abs(upper)))
    decay_lower = jnp.where(first, 0.0, jnp.exp(-jnp.abs(lower)))
    decay = jnp.exp(-inverse)
    # 1 - exp(-t) loses digits for small t; the series is good to 1e-7 relative below 1/8.
    series = inverse * (1 - inverse * (1 / 2 - inverse * (1 / 6 - inverse * (1 / 24 - inverse / 120))))
    inside = jnp.where(inverse < 0.125, series, 1 - decay)
    return inverse, upper, lower, decay_upper, decay_lower, decay, inside, first, last


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def log_mass(
    level: Float[Array, "*shape"], loc: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], bits: int
) -> Float[Array, "*shape"]:
    """Log mass of a level, nats.

    With bin edges a = (level - loc + 1/2) / scale and b = (level - loc - 1/2) / scale an interior bin has
    `log(1 - exp(-1 / scale)) - softplus(b) - softplus(-a)`, the first `-softplus(-a)`, the last `-softplus(b)`; the
    three logarithms are taken as one, of a quotient whose parts cannot vanish. Exact in both tails.

    Args:
      level: integers 0..2^bits-1 as floats; no gradient flows to them.
      loc: in levels.
      log_scale: log levels; clamped to `log_scale_limits(bits)`, and its gradient is 0 outside.
      bits: 1 to 8.

    The derivative is written by hand for reverse mode; it has no forward mode and no second derivative.
    """
    _, upper, lower, decay_upper, decay_lower, _, inside, first, last = _terms(level, loc, log_scale, bits)
    linear = jnp.where(last, 0.0, jnp.minimum(upper, 0.0)) - jnp.where(first, 0.0, jnp.maximum(lower, 0.0))
    inside = jnp.where(first | last, 1.0, inside)
    return linear + jnp.log(inside / ((1 + decay_upper) * (1 + decay_lower)))


def _forward(level, loc, log_scale, bits):
    # The inputs are saved, not the terms: reading memory costs more than repeating four exponentials.
    return log_mass(level, loc, log_scale, bits), (level, loc, log_scale)


def _backward(bits, saved, cotangent):
    level, loc, log_scale = saved
    inverse, upper, lower, decay_upper, decay_lower, decay, inside, first, last = _terms(level, loc, log_scale, bits)
    # sigmoid(-upper) and sigmoid(lower): the probability above and below the bin, 0 for the bins with a tail.
    above = jnp.where(upper > 0, decay_upper, jnp.where(last, 0.0, 1.0)) / (1 + decay_upper)
    below = jnp.where(lower < 0, decay_lower, jnp.where(first, 0.0, 1.0)) / (1 + decay_lower)
    width = jnp.where(first | last, 0.0, inverse * decay / inside)
    low, high = log_scale_limits(bits)
    within = (log_scale >= low) & (log_scale <= high)
    grad_loc = cotangent * inverse * (below - above)
    grad_log_scale = cotangent * jnp.where(within, lower * below - upper * above - width, 0.0)
    return None, grad_loc, grad_log_scale


log_mass.defvjp(_forward, _backward)


def survival(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """P(standard logistic > z)."""
    decay = jnp.exp(-jnp.abs(z))
    return jnp.where(z > 0, decay, 1.0) / (1 + decay)


LOGISTIC = ValueFamily(log_mass=log_mass, survival=survival, noise=standard_logistic)


class DiscretizedLogistic(Discretized):
    """A logistic integrated over bins one level wide."""

    family: ClassVar[ValueFamily] = LOGISTIC
