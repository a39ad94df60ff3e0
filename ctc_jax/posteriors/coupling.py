"""Coupling flow (Dinh et al. 2017, arXiv:1605.08803). Tests: tests/posteriors/test_flows.py."""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.options import Options, option
from ctc_jax.posteriors.flow import SMALL, NormalizingFlow, Step

# Of log scales: a factor of 20 a step at most.
MOST = 3.0


class CouplingStep(Step):
    """Half of the latents is moved as the other half and the context say; a single latent as the context says.

    Attributes:
      second: whether the second half stays, else the first.
      width: units of a hidden layer.
      layers: hidden layers.
    """

    second: bool
    width: int
    layers: int
    inverted: ClassVar[bool] = True

    @property
    def parameters(self) -> int:
        """How many numbers say how a latent is moved."""
        return 2

    def move(
        self, latent: Float[Array, "batch moved"], parameters: Float[Array, "batch moved parameters"]
    ) -> tuple[Float[Array, "batch moved"], Float[Array, "batch moved"]]:
        """The moved latents and the logarithms of their derivatives; parameters of 0 leave them where they are."""
        log_scale = MOST * jnp.tanh(parameters[..., 1] / MOST)
        return latent * jnp.exp(log_scale) + parameters[..., 0], log_scale

    def undo(
        self, moved: Float[Array, "batch moved"], parameters: Float[Array, "batch moved parameters"]
    ) -> tuple[Float[Array, "batch moved"], Float[Array, "batch moved"]]:
        """The latents that `move` moved there, and the logarithms of its derivatives."""
        log_scale = MOST * jnp.tanh(parameters[..., 1] / MOST)
        return (moved - parameters[..., 0]) * jnp.exp(-log_scale), log_scale

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latents"], context: Float[Array, "batch context"], *, back: bool = False
    ) -> tuple[Float[Array, "batch latents"], Float[Array, " batch"]]:
        """The Jacobian is triangular: its log-determinant is the sum of the log derivatives; `back` undoes the move,
        and has the same log-determinant."""
        latents = latent.shape[-1]
        turned = latent[:, ::-1] if self.second else latent
        kept, moved = jnp.split(turned, [latents // 2], axis=-1)
        hidden = jnp.concatenate([kept, context], axis=-1)
        for _ in range(self.layers):
            hidden = nn.silu(nn.Dense(self.width)(hidden))
        parameters = nn.Dense(moved.shape[-1] * self.parameters, kernel_init=SMALL)(hidden)
        move = self.undo if back else self.move
        moved, log_derivatives = move(moved, parameters.reshape(*moved.shape, self.parameters))
        turned = jnp.concatenate([kept, moved], axis=-1)
        return turned[:, ::-1] if self.second else turned, log_derivatives.sum(axis=-1)


@dataclass(frozen=True)
class CouplingOptions(Options):
    """Of the coupling flow."""

    steps: int = option(6, "couplings; the halves change parts at each", at_least=1)
    width: int = option(128, "units of a hidden layer of a step", at_least=1)
    layers: int = option(2, "hidden layers of a step", at_least=1)
    context: int = option(64, "features of the image that every step sees", at_least=1)

    def build(self, *, latents: int) -> NormalizingFlow:
        """The module for codes of that size."""
        moves = tuple(CouplingStep(bool(step % 2), self.width, self.layers) for step in range(self.steps))
        return NormalizingFlow(latents, moves, self.context)
