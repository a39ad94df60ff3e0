"""The Gaussian integrated over bins one level wide. Tests: test_discretized_gaussian.py."""

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ctc_jax.distributions.discretized import Discretized
from ctc_jax.distributions.value_family import ValueFamily

# Chebyshev fit (relative error 4e-8 in exact arithmetic) of exp(z^2/2) P(normal > z) / u by powers of u = 1/(1 + z/4).
_SCALED_TAIL = (
    0.099735567,
    0.099736432,
    0.093466347,
    0.081603223,
    0.058974428,
    0.063701609,
    -0.031722485,
    0.095602713,
    -0.080880694,
    0.019782844,
)
_DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)


def _scaled_tail(z):
    """exp(z^2/2) P(standard normal > z) for z >= 0, to 4e-7 relative in float32."""
    u = 1 / (1 + 0.25 * z)
    power_series = jnp.full_like(u, _SCALED_TAIL[-1])
    for coefficient in _SCALED_TAIL[-2::-1]:
        power_series = power_series * u + coefficient
    return u * power_series


class _Bin(NamedTuple):
    """What value and derivative share, mirrored so that the bin lies on the right of the mean.

    Attributes:
      center, near, far: distance of the bin's middle and edges from the mean in units of the scale; near may be < 0.
      density_near, density_far: normal density at the edges over `_DENSITY_AT_0`, 0 at an infinite edge, and both
        over exp(-near^2/2) where near >= 0.
      mass: likewise over exp(-near^2/2) where near >= 0.
      narrow: where the bin is so narrow that the difference of the tails cancels and the series below is used.
      series, series_by_center, series_by_width: mass over width times the density at center, and its derivatives.
    """

    center: Float[Array, "*shape"]
    near: Float[Array, "*shape"]
    far: Float[Array, "*shape"]
    density_near: Float[Array, "*shape"]
    density_far: Float[Array, "*shape"]
    mass: Float[Array, "*shape"]
    narrow: Bool[Array, "*shape"]
    series: Float[Array, "*shape"]
    series_by_center: Float[Array, "*shape"]
    series_by_width: Float[Array, "*shape"]


def _bin(level, loc, width, bits):
    center = jnp.abs(level - loc) * width
    near, far = center - 0.5 * width, center + 0.5 * width
    first, last = level == 0, level == 2**bits - 1
    right = level >= loc
    far_infinite, near_infinite = jnp.where(right, last, first), jnp.where(right, first, last)
    tail_near = _scaled_tail(jnp.abs(near))
    tail_far = jnp.where(far_infinite, 0.0, _scaled_tail(far))
    # far^2/2 - near^2/2 is exactly center * width.
    ratio = jnp.exp(-center * width)
    around = (near < 0) | near_infinite
    reference = jnp.where(around, jnp.exp(-0.5 * near * near), 1.0)
    density_near = jnp.where(near_infinite, 0.0, reference)
    density_far = jnp.where(far_infinite, 0.0, reference * ratio)
    beyond_far = reference * ratio * tail_far
    mass = jnp.where(around, 1 - density_near * tail_near - beyond_far, tail_near - beyond_far)
    narrow = (width < 0.25) & (center * width < 0.5) & ~first & ~last
    square, width_square = center * center, width * width
    second = (square - 1) / 24
    fourth = (square * (square - 6) + 3) / 1920
    series = 1 + width_square * (second + width_square * fourth)
    series_by_center = width_square * center * (1 / 12 + width_square * (square - 3) / 480)
    series_by_width = width * (2 * second + 4 * width_square * fourth)
    return _Bin(center, near, far, density_near, density_far, mass, narrow, series, series_by_center, series_by_width)


def pieces(
    level: Float[Array, "*shape"], loc: Float[Array, "*shape"], inverse_scale: Float[Array, "*shape"], bits: int
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """`(linear, factor)` with log mass = linear + log(factor), nats.

    The mass is a difference of normal tails with exp(-near^2/2) taken out; around the mean it is 1 less both tails,
    and in narrow bins the midpoint series in the width (probabilists' Hermite polynomials, fourth order).
    """
    edges = _bin(level, loc, inverse_scale, bits)
    outside = (edges.near >= 0) & (edges.density_near > 0)
    linear = jnp.where(edges.narrow, edges.center, jnp.where(outside, edges.near, 0.0))
    factor = jnp.where(edges.narrow, _DENSITY_AT_0 * inverse_scale * edges.series, edges.mass)
    return -0.5 * linear * linear, factor


def partials(
    level: Float[Array, "*shape"], loc: Float[Array, "*shape"], inverse_scale: Float[Array, "*shape"], bits: int
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Derivatives of the log mass by loc (nats a level) and by log_scale (nats)."""
    edges = _bin(level, loc, inverse_scale, bits)
    denominator = jnp.where(edges.narrow, edges.series, edges.mass)
    slope = edges.density_near - edges.density_far
    slope = jnp.where(edges.narrow, edges.center * edges.series - edges.series_by_center, _DENSITY_AT_0 * slope)
    by_loc = jnp.where(level >= loc, inverse_scale, -inverse_scale) * slope / denominator
    stretch = edges.near * edges.density_near - edges.far * edges.density_far
    shrink = (edges.center * edges.center - 1) * edges.series
    shrink = shrink - edges.center * edges.series_by_center - inverse_scale * edges.series_by_width
    by_log_scale = jnp.where(edges.narrow, shrink, _DENSITY_AT_0 * stretch) / denominator
    return by_loc, by_log_scale


def curvature(
    level: Float[Array, "*shape"], loc: Float[Array, "*shape"], inverse_scale: Float[Array, "*shape"], bits: int
) -> Float[Array, "*shape"]:
    """Minus the second derivative of the log mass by loc, nats a squared level: 1 / scale^2 in narrow bins."""
    # The density solves the heat equation: its derivative by log_scale is scale^2 times the second one by loc.
    by_loc, by_log_scale = partials(level, loc, inverse_scale, bits)
    most = inverse_scale * inverse_scale
    return jnp.clip(by_loc * by_loc - by_log_scale * most, 0.0, most)


def survival(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """P(standard normal > z)."""
    tail = jnp.exp(-0.5 * z * z) * _scaled_tail(jnp.abs(z))
    return jnp.where(z > 0, tail, 1 - tail)


def noise(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard normal draws."""
    return jax.random.normal(key, shape, jnp.float32)


GAUSSIAN = ValueFamily(pieces, partials, survival, noise)


class DiscretizedGaussian(Discretized):
    """A Gaussian integrated over bins one level wide."""

    family: ClassVar[ValueFamily] = GAUSSIAN
    curvature: ClassVar[Callable] = curvature
