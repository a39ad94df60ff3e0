"""One level per batch element from a value family, as a numpyro distribution. Tests: test_discretized_*.py."""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, Num
from numpyro.distributions import Distribution, constraints

from ctc_jax.distributions.continuous import as_float
from ctc_jax.distributions.levels import told_levels
from ctc_jax.distributions.value_family import ValueFamily, inverse_of


class Discretized(Distribution):
    """Mass of a location-scale family over bins one level wide, the end bins taking the tails.

    Args:
      loc: in levels.
      log_scale: log of the scale in levels; clamped to `value_family.log_scale_limits(bits)`.
      bits: levels are 0..2^bits-1.
    """

    family: ClassVar[ValueFamily]
    # `(level, loc, inverse_scale, bits)` to minus the second derivative of the log mass by loc, at least 0.
    curvature: ClassVar[Callable]
    arg_constraints: ClassVar[dict] = {"loc": constraints.real, "log_scale": constraints.real}
    pytree_data_fields = ("loc", "log_scale")
    pytree_aux_fields = ("bits",)

    def __init__(
        self,
        loc: Num[ArrayLike, "..."],
        log_scale: Num[ArrayLike, "..."],
        *,
        bits: int,
        validate_args: bool | None = None,
    ):
        self.bits = bits
        shape = lax.broadcast_shapes(jnp.shape(loc), jnp.shape(log_scale))
        self.loc, self.log_scale = (jnp.broadcast_to(as_float(array), shape) for array in (loc, log_scale))
        super().__init__(batch_shape=shape, event_shape=(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> constraints.Constraint:
        """The levels 0..2^bits-1."""
        return constraints.integer_interval(0, 2**self.bits - 1)

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """Log mass of each level, nats, -inf at other numbers; first derivatives in reverse mode only."""
        value, outside = told_levels(value, 2**self.bits)
        shape = lax.broadcast_shapes(jnp.shape(value), self.batch_shape)
        value, outside, loc, log_scale = (
            jnp.broadcast_to(array, shape) for array in (value, outside, self.loc, self.log_scale)
        )
        log_mass = self.family.log_mass(value.astype(jnp.float32)[None], loc[None], log_scale[None], self.bits)
        return jnp.where(outside == 0, log_mass, outside)

    def bend(self, value: Num[ArrayLike, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The derivative of the log mass of levels by loc, nats a level, and minus the second one, at least 0."""
        at = (jnp.broadcast_to(jnp.asarray(value, jnp.float32), self.batch_shape), self.loc)
        inverse = inverse_of(self.log_scale, self.bits)
        return self.family.partials(*at, inverse, self.bits)[0], type(self).curvature(*at, inverse, self.bits)

    def sample(self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()) -> Int[Array, "..."]:
        """Levels of shape `sample_shape + batch_shape`, int32."""
        shape = tuple(sample_shape) + self.batch_shape
        return self.family.sample(
            key, jnp.broadcast_to(self.loc, shape), jnp.broadcast_to(self.log_scale, shape), self.bits
        )

    @property
    def mean(self) -> Float[Array, "..."]:
        """Exact, in levels."""
        return self.family.mean(self.loc, self.log_scale, self.bits)

    @property
    def mode(self) -> Int[Array, "..."]:
        """The most probable level, int32."""
        return self.family.mode(self.loc, self.log_scale, self.bits)
