"""Continuous values under a mask: draws, densities, entropies and modes. Tests: test_continuous.py."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Key, Num
from numpyro.distributions import Distribution

SYMMETRIC = (dist.Normal, dist.Laplace, dist.Logistic, dist.StudentT, dist.Cauchy, dist.Gumbel)

# numpyro's continuous families do not tell their modes.
MODES: dict[type[Distribution], Callable[[Distribution], Float[Array, "..."]]] = {
    **{family: lambda values: jnp.broadcast_to(values.loc, values.batch_shape) for family in SYMMETRIC},
    dist.Delta: lambda values: values.v,
    dist.LogNormal: lambda values: jnp.exp(values.loc - values.scale**2),
    dist.HalfNormal: lambda values: jnp.zeros(values.batch_shape),
    dist.Exponential: lambda values: jnp.zeros(values.batch_shape),
    dist.Gamma: lambda values: jnp.maximum(values.concentration - 1.0, 0.0) / values.rate,
}


def check_values(values: Distribution, owner: str) -> None:
    """Refuses values that a mask cannot multiply.

    Args:
      values: one value for each category, along the last batch dimension or elementwise.
      owner: what they belong to, for the message.

    Raises:
      ValueError: they are discrete, or have an event shape.
    """
    if values.is_discrete:
        raise ValueError(
            f"{owner}: values are {type(values).__name__}, which is discrete; allowed: a continuous family"
        )
    if values.event_shape:
        raise ValueError(
            f"{owner}: values have event shape {values.event_shape}; allowed: (), one number for each category"
        )


def as_float(numbers: Num[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """The numbers as an array of floating-point numbers: Python's own and integers as well as arrays."""
    array = jnp.asarray(numbers)
    return array.astype(jnp.result_type(array, float))


def expand(values: Distribution, shape: tuple[int, ...]) -> Distribution:
    """The values with batch shape `shape`, drawn independently at each place."""
    return values if values.batch_shape == shape else values.expand(shape)


def sample(values: Distribution, key: Key[Array, ""] | None, sample_shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Reparameterized draws, `[*sample_shape, *batch]`."""
    with jax.numpy_rank_promotion("allow"):  # numpyro's families broadcast parameters over the samples' dimensions
        return values.sample(key, tuple(sample_shape))


def nonzero(values: Distribution, draws: Float[Array, "..."]) -> Float[Array, "..."]:
    """The draws as finite floating-point numbers other than 0, which in a sparse vector would be another mask.

    What has underflowed or overflowed is rounded to the smallest normal or the largest number of its sign, or of the
    other sign where the support has only that one. Draws of heavy-tailed logarithms need it: those of Gamma(.02, 1) are
    below the smallest float32 number with probability .17.
    """
    limits = jnp.finfo(draws.dtype)
    magnitude = jnp.abs(draws)
    rounded = jnp.copysign(jnp.clip(magnitude, limits.tiny, limits.max), draws)
    with jax.numpy_rank_promotion("allow"):
        rounded = jnp.where(values.support(rounded), rounded, -rounded)
    return jnp.where((magnitude < limits.tiny) | jnp.isinf(draws), rounded, draws)


def log_density(values: Distribution, x: Float[Array, "..."], chosen: Bool[Array, "..."]) -> Float[Array, "..."]:
    """Log density of `x` where `chosen`, -inf outside the support, nan at nan; 0 where not chosen.

    Gradients are finite where `x` is not chosen, whatever the family does at 0.
    """
    with jax.numpy_rank_promotion("allow"):
        inside = values.support(x) & jnp.isfinite(x)
        # A point of the support stands in for those that do not count, so that no inf or nan reaches the derivative.
        safe = jnp.where(chosen & inside, x, values.support.feasible_like(x))
        outside = jnp.where(jnp.isnan(x), jnp.nan, -jnp.inf)
        return jnp.where(chosen, jnp.where(inside, values.log_prob(safe), outside), 0.0)


def has_entropy(values: Distribution) -> bool:
    """Whether numpyro has the family's entropy in closed form."""
    try:
        values.entropy()
    except NotImplementedError:
        return False
    return True


def entropy(values: Distribution) -> Float[Array, "..."]:
    """Differential entropy, nats; where `has_entropy` is false, the Gaussian's of the same variance, an upper bound."""
    if has_entropy(values):
        return jnp.broadcast_to(values.entropy(), values.batch_shape)
    return jnp.broadcast_to(0.5 * jnp.log(2.0 * math.pi * math.e * values.variance), values.batch_shape)


def mode(values: Distribution) -> Float[Array, "..."]:
    """The densest point of each value.

    Raises:
      NotImplementedError: a family that `MODES` does not list.
    """
    family = type(values)
    if family is dist.ExpandedDistribution:
        return jnp.broadcast_to(mode(values.base_dist), values.batch_shape)
    if family not in MODES:
        known = ", ".join(sorted(listed.__name__ for listed in MODES))
        raise NotImplementedError(f"mode of {family.__name__}; known: {known}")
    return as_float(jnp.broadcast_to(MODES[family](values), values.batch_shape))
