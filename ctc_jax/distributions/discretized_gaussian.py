"""The Gaussian integrated over bins. Tests: test_discretized_gaussian.py."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions.discretized import Discretized
from ctc_jax.distributions.value_family import ValueFamily, log_scale_limits, standard_normal


def log_mass(
    level: Float[Array, "*shape"], loc: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], bits: int
) -> Float[Array, "*shape"]:
    """Log mass of a level, nats."""
    inverse = jnp.exp(-jnp.clip(log_scale, *log_scale_limits(bits)))
    flip = level < loc
    distance = jnp.abs(level - loc)
    near, far = (distance - 0.5) * inverse, (distance + 0.5) * inverse
    log_near, log_far = jax.scipy.special.log_ndtr(-near), jax.scipy.special.log_ndtr(-far)
    # Both edges lie on the right of the mean, or the left one at most half a bin left of it.
    gap = jnp.maximum(log_near - log_far, 1e-6)
    interior = log_near + jnp.log(-jnp.expm1(-gap))
    last = level == 2**bits - 1
    to_infinity = jnp.where(flip != last, log_near, jax.scipy.special.log_ndtr(far))
    return jnp.where((level == 0) | last, to_infinity, interior)


def survival(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """P(standard normal > z)."""
    return jax.scipy.special.ndtr(-z)


GAUSSIAN = ValueFamily(log_mass=log_mass, survival=survival, noise=standard_normal)


class DiscretizedGaussian(Discretized):
    """A Gaussian integrated over bins one level wide."""

    family: ClassVar[ValueFamily] = GAUSSIAN
