"""Pixels that vary together by a few random factors. Tests: test_correlated_pixels.py."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num
from numpyro.distributions import Distribution, constraints

from ctc_jax.distributions.discretized import Discretized
from ctc_jax.distributions.independent_pixels import IndependentPixels

# Of Gaussian pixels the first finds the mode; of logistic ones three, which may lie 6 scales off, leave its KL at 0.02.
STEPS = 3


class Factors(NamedTuple):
    """A Gaussian of the factors.

    Attributes:
      loc: its mean, which is its mode.
      cholesky: lower triangular, of its precision.
    """

    loc: Float[Array, "batch rank"]
    cholesky: Float[Array, "batch rank rank"]


class CorrelatedPixels(Distribution):
    """Images whose pixels are independent given factors e ~ N(0, I), about loc + loadings e.

    With narrow bins and Gaussian pixels that is N(loc, loadings loadings^T + scale^2), a factor analysis (Bartholomew
    1987): one mode, and correlated pixels. The integral over the factors has no closed form for masses of levels: a
    model draws them as a latent.

    Args:
      loc: in levels.
      log_scale: log levels, clamped by the family.
      loadings: levels a unit of each factor.
      bits: levels are 0..2^bits-1.
      family: of the pixels given the factors.
    """

    arg_constraints: ClassVar[dict] = {"loc": constraints.real, "loadings": constraints.real}
    support = constraints.independent(constraints.nonnegative_integer, 3)
    pytree_data_fields = ("loc", "log_scale", "loadings")
    pytree_aux_fields = ("bits", "family")

    def __init__(
        self,
        loc: Float[Array, "batch height width channels"],
        log_scale: Float[Array, "batch height width channels"],
        loadings: Float[Array, "batch height width rank channels"],
        *,
        bits: int,
        family: type[Discretized],
        validate_args: bool | None = None,
    ):
        self.loc, self.log_scale, self.loadings, self.bits, self.family = loc, log_scale, loadings, bits, family
        super().__init__(batch_shape=loc.shape[:1], event_shape=loc.shape[1:], validate_args=validate_args)

    @property
    def rank(self) -> int:
        """How many factors there are."""
        return self.loadings.shape[-2]

    def given(self, factors: Float[Array, "batch rank"]) -> IndependentPixels:
        """The distribution on images given the factors."""
        moved = self.loc + jnp.einsum("bhwrc,br->bhwc", self.loadings, factors)
        return IndependentPixels(self.family(moved, self.log_scale, bits=self.bits))

    def posterior(self, image: Num[Array, "batch height width channels"]) -> Factors:
        """The Gaussian around the mode of p(factors | image) whose precision is the curvature there; no gradient.

        It is p(factors | image) itself for Gaussian pixels with narrow bins. Log masses are concave in the factors, so
        that there is one mode. A step to it takes in place of the curvature the slope over the distance from the level,
        where that is more: of a symmetric mass with heavy tails it is the narrowest parabola that touches the mass from
        below (Dempster et al. 1980), so that no step overshoots, as Newton's do that start in the tails.
        """
        held = jax.lax.stop_gradient(self)
        loadings = jnp.moveaxis(held.loadings, -1, -2).reshape(len(self.loc), -1, self.rank)

        def moments(factors: Array, step: bool) -> tuple[Array, Array]:
            """The log joint's slope, and the Cholesky factor of the precision: of a step, or at the mode."""
            pixels = held.given(factors).base_dist
            slope, curvature = pixels.bend(image)
            if step:
                away = image - pixels.loc
                curvature = jnp.maximum(curvature, slope / jnp.where(jnp.abs(away) < 0.5, jnp.inf, away))
            slope, curvature = (of.reshape(len(of), -1) for of in (slope, curvature))
            precision = jnp.einsum("bpr,bp,bps->brs", loadings, curvature, loadings) + jnp.eye(self.rank)[None]
            return jnp.einsum("bpr,bp->br", loadings, slope) - factors, jnp.linalg.cholesky(precision)

        def climb(_: Any, factors: Array) -> Array:
            slope, cholesky = moments(factors, step=True)
            return factors + jax.scipy.linalg.cho_solve((cholesky, True), slope[..., None])[..., 0]

        factors = jax.lax.fori_loop(0, STEPS, climb, jnp.zeros((len(self.loc), self.rank)))
        return Factors(factors, moments(factors, step=False)[1])
