"""Where a masked value can lie, as numpyro constraints. Tests: test_sparse_support.py."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from numpyro.distributions import constraints


class GatedSupport(constraints.Constraint):
    """0, and what the values can be.

    Stated to be discrete: no bijection from the real line has the point 0 in its range with a probability, and numpyro
    asks this alone before it moves a latent continuously.

    Args:
      values: the support of the values.
    """

    is_discrete = True

    def __init__(self, values: constraints.Constraint):
        self.values = values

    def __call__(self, x: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
        """Whether each number lies in it."""
        with jax.numpy_rank_promotion("allow"):
            return (x == 0) | self.values(x)

    def tree_flatten(self) -> tuple:
        """The support of the values is traced, which may have bounds."""
        return (self.values,), (("values",), {})


class OneHotSupport(constraints.Constraint):
    """Vectors with one nonzero entry, which is what its value can be; with `off` also the zero vector.

    Stated to be discrete, as `GatedSupport` is.

    Args:
      values: the support of the values, elementwise.
      off: whether the zero vector belongs to it.
    """

    is_discrete = True
    event_dim = 1

    def __init__(self, values: constraints.Constraint, off: bool):
        self.values, self.off = values, off

    def __call__(self, x: Float[Array, "*shape K"]) -> Bool[Array, "*shape"]:
        """Whether each vector lies in it."""
        with jax.numpy_rank_promotion("allow"):
            fits = jnp.all((x == 0) | self.values(x), axis=-1)
        count = jnp.sum(x != 0, axis=-1)
        return fits & ((count == 1) | (self.off & (count == 0)))

    def tree_flatten(self) -> tuple:
        """The support of the values is traced, which may have bounds."""
        return (self.values,), (("values",), {"off": self.off})
