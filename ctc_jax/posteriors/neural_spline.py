"""Neural spline flow (Durkan et al. 2019, arXiv:1906.04032). Tests: tests/posteriors/test_flows.py."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.options import Options, option
from ctc_jax.posteriors.coupling import CouplingStep
from ctc_jax.posteriors.flow import NormalizingFlow
from ctc_jax.posteriors.planar import ONE

# The least width and height of a bin, as a share of all, and the least derivative at a knot.
LEAST = 1e-3


class SplineStep(CouplingStep):
    """A coupling whose latents go through a monotone rational-quadratic spline on [-bound, bound].

    Attributes:
      bins: of the spline.
      bound: beyond it a latent stays where it is.
    """

    bins: int = 8
    bound: float = 5.0

    @property
    def parameters(self) -> int:
        """A width and a height of each bin, and a derivative at each knot between bins."""
        return 3 * self.bins - 1

    def move(
        self, latent: Float[Array, "batch moved"], parameters: Float[Array, "batch moved parameters"]
    ) -> tuple[Float[Array, "batch moved"], Float[Array, "batch moved"]]:
        """Equal bins with derivatives of 1, at parameters of 0, are the identity."""
        return rational_quadratic_spline(latent, *self._spline(parameters))

    def undo(
        self, moved: Float[Array, "batch moved"], parameters: Float[Array, "batch moved parameters"]
    ) -> tuple[Float[Array, "batch moved"], Float[Array, "batch moved"]]:
        """By the roots of quadratic equations."""
        return rational_quadratic_spline(moved, *self._spline(parameters), back=True)

    def _spline(self, parameters):
        return *jnp.split(parameters, [self.bins, 2 * self.bins], axis=-1), self.bound


def rational_quadratic_spline(
    value: Float[Array, "*shape"],
    widths: Float[Array, "*shape bins"],
    heights: Float[Array, "*shape bins"],
    slopes: Float[Array, "*shape inner"],
    bound: float,
    *,
    back: bool = False,
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """A monotone map of [-bound, bound] on itself, and the identity beyond (Gregory and Delbourgo 1982).

    Args:
      value: to be mapped.
      widths: logits of the bins' widths.
      heights: logits of the bins' heights.
      slopes: of the derivatives at the inner knots, through a softplus that is 1 at 0; at the outer ones it is 1.
      bound: in units of the value.
      back: whether to undo the map.

    Returns:
      The values and the logarithms of the map's derivatives there, also of one that is undone.
    """
    bins = widths.shape[-1]
    x, y = _knots(widths, bound), _knots(heights, bound)
    inner = LEAST + (1.0 - LEAST) * nn.softplus(slopes + ONE)
    derivatives = jnp.pad(inner, [(0, 0)] * value.ndim + [(1, 1)], constant_values=1.0)
    inside = jnp.clip(value, -bound, bound)
    index = jnp.clip(jnp.sum(inside[..., None] >= (y if back else x), axis=-1) - 1, 0, bins - 1)

    def at(knots, offset=0):
        return jnp.take_along_axis(knots, (index + offset)[..., None], axis=-1)[..., 0]

    left, bottom = at(x), at(y)
    width, height = at(x, 1) - left, at(y, 1) - bottom
    before, after, slope = at(derivatives), at(derivatives, 1), height / width
    bend = before + after - 2.0 * slope
    if back:
        # Of a place^2 + b place = c, in the form that does not cancel.
        share = (inside - bottom) / height
        a, b, c = slope - before + share * bend, before - share * bend, slope * share
        root = jnp.sqrt(jnp.maximum(b**2 + 4.0 * a * c, 0.0))
        place = 2.0 * c / (b + root)
        moved = left + width * place
    else:
        place = (inside - left) / width
    rest = 1.0 - place
    denominator = slope + bend * place * rest
    if not back:
        moved = bottom + height * (slope * place**2 + before * place * rest) / denominator
    derivative = (slope / denominator) ** 2 * (after * place**2 + 2.0 * slope * place * rest + before * rest**2)
    beyond = jnp.abs(value) >= bound
    return jnp.where(beyond, value, moved), jnp.where(beyond, 0.0, jnp.log(derivative))


def _knots(logits: Float[Array, "*shape bins"], bound: float) -> Float[Array, "*shape knots"]:
    bins = logits.shape[-1]
    shares = LEAST + (1.0 - LEAST * bins) * nn.softmax(logits, axis=-1)
    inner = jnp.cumsum(shares, axis=-1)[..., :-1]
    ends = [(0, 0)] * (logits.ndim - 1)
    whole = jnp.pad(jnp.pad(inner, [*ends, (1, 0)]), [*ends, (0, 1)], constant_values=1.0)
    return bound * (2.0 * whole - 1.0)


@dataclass(frozen=True)
class NeuralSplineOptions(Options):
    """Of the neural spline flow."""

    steps: int = option(4, "couplings; the halves change parts at each", at_least=1)
    width: int = option(128, "units of a hidden layer of a step", at_least=1)
    layers: int = option(2, "hidden layers of a step", at_least=1)
    context: int = option(64, "features of the image that every step sees", at_least=1)
    bins: int = option(8, "of a spline", at_least=2, at_most=256)
    bound: float = option(5.0, "beyond which latents stay where they are", above=0)

    def build(self, *, latents: int) -> NormalizingFlow:
        """The module for codes of that size."""
        moves = tuple(
            SplineStep(bool(step % 2), self.width, self.layers, self.bins, self.bound) for step in range(self.steps)
        )
        return NormalizingFlow(latents, moves, self.context)
