"""Categories that learn with their neighbors on a grid, as in a self-organizing map. Tests: test_som_pooling.py."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int

from ctc_jax.distributions import CATEGORICAL
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.layers.neighborhood_schedule import NeighborhoodSchedule

# In place of a sigma of 0: every other category's weight is exp(-1e30) = 0, and nothing is divided by 0.
SMALLEST = 1e-30


@dataclass(frozen=True)
class SOMPooling:
    """P = G p and S = G s between the logits and values of a mask and its draw: m ~ P, z = m * S.

    G_ij is proportional to exp(-|i - j|^2 / sigma), i and j on a grid (`grid_shape`), its columns normalized so that
    P is a distribution; sigma = 0 is the identity, exactly. (Its rows do not sum to 1: at the border of the grid S
    is smaller, or larger, than a mean of its neighborhood.) Both factors of G, along rows and along columns, are
    applied in turn, and P in the logarithmic domain: K (rows + columns) exponentials a mask, and none underflows.

    Attributes:
      schedule: of sigma.
    """

    schedule: NeighborhoodSchedule

    def __call__(
        self,
        logits: Float[Array, "*batch masks"],
        values: Float[Array, "*batch K"],
        step: Int[Array, ""] | int | None = None,
    ) -> tuple[Float[Array, "*batch masks"], Float[Array, "*batch K"]]:
        """Logits of P, up to the constant that the given ones have, and S.

        Args:
          logits: of p; an off state's, if there is one, is last and stays as it is.
          values: s.
          step: of training; None is the end of the schedule.
        """
        rows, columns = _log_neighborhoods(values.shape[-1], self.schedule(step))
        return _smoothed_logits(logits, rows, columns), _weighted(values, jnp.exp(rows), jnp.exp(columns))

    def distribution(self, q: MaskedDistribution, step: Int[Array, ""] | int | None = None) -> MaskedDistribution:
        """The distribution of z whose categorical masks are those of `q` pooled.

        The S_i of independent normal values are correlated, but z shows one of them: given the mask, its distribution
        is its marginal N((G loc)_i, sum_j G_ij^2 scale_j^2), and nothing else.

        Raises:
          ValueError: another kind of mask, or another family of values than normal or deterministic.
        """
        if q.kind != CATEGORICAL:
            raise ValueError("masks are not categorical; allowed: categorical ones, whose alternatives lie on a grid")
        categories = q.logits.shape[-1] if q.values is None else q.values.batch_shape[-1]
        rows, columns = _log_neighborhoods(categories, self.schedule(step))

        def weighted(of, power=1.0):
            return _weighted(of, jnp.exp(power * rows), jnp.exp(power * columns))

        if q.values is None:
            pooled = None
        elif isinstance(q.values, dist.Delta):
            pooled = dist.Delta(weighted(q.values.v))
        elif isinstance(q.values, dist.Normal):
            pooled = dist.Normal(weighted(q.values.loc), jnp.sqrt(weighted(q.values.scale**2, power=2.0)))
        else:
            raise ValueError(f"values are {type(q.values).__name__}; allowed: Normal or Delta, whose sums are known")
        return MaskedDistribution(q.kind, _smoothed_logits(q.logits, rows, columns), pooled)


def grid_shape(categories: int) -> tuple[int, int]:
    """Rows and columns of the grid: the factorization of K nearest a square, rows <= columns; a line where K is prime.

    Category k is at row k // columns and column k % columns.
    """
    rows = next(divisor for divisor in range(math.isqrt(categories), 0, -1) if categories % divisor == 0)
    return rows, categories // rows


def neighborhood(categories: int, sigma: Float[Array, ""] | float) -> Float[Array, "K K"]:
    """G itself, `[i, j]`: what category i takes of category j."""
    rows, columns = _log_neighborhoods(categories, jnp.float32(sigma))
    return jnp.kron(jnp.exp(rows), jnp.exp(columns))


def _log_neighborhoods(categories, sigma):
    """log G along rows and along columns; G is their Kronecker product."""

    def along(size):
        index = jnp.arange(size, dtype=jnp.float32)
        distance = (index[:, None] - index[None, :]) ** 2
        return jax.nn.log_softmax(-distance / jnp.maximum(sigma, SMALLEST), axis=0)

    return tuple(jax.lax.stop_gradient(along(size)) for size in grid_shape(categories))


def _weighted(values, rows, columns):
    grid = values.reshape(*values.shape[:-1], len(rows), len(columns))
    # At full precision everywhere, so that the identity is the identity.
    grid = jnp.einsum("ij,...jk->...ik", rows, grid, precision=jax.lax.Precision.HIGHEST)
    grid = jnp.einsum("kl,...jl->...jk", columns, grid, precision=jax.lax.Precision.HIGHEST)
    return grid.reshape(values.shape)


def _smoothed_logits(logits, log_rows, log_columns):
    """log(G exp(logits)) of the categories: G keeps sums, so the softmax of the result is G p."""
    categories = len(log_rows) * len(log_columns)
    grid = logits[..., :categories].reshape(*logits.shape[:-1], len(log_rows), len(log_columns))
    grid = _log_product(log_columns, grid)
    grid = jnp.swapaxes(_log_product(log_rows, jnp.swapaxes(grid, -1, -2)), -1, -2)
    spread = grid.reshape(*logits.shape[:-1], categories)
    return jnp.concatenate([spread, logits[..., categories:]], axis=-1)


def _log_product(log_matrix, log_vectors):
    """log(exp(matrix) exp(vector)) over the last axis."""
    log_matrix = log_matrix.reshape(*(1,) * (log_vectors.ndim - 1), *log_matrix.shape)
    return jax.nn.logsumexp(log_matrix + log_vectors[..., None, :], axis=-1)
