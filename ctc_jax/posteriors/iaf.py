"""Inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934). Tests: tests/posteriors/test_iaf.py."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ctc_jax.options import Options, option
from ctc_jax.posteriors.flow import SMALL, NormalizingFlow, Step

# Where the logit of a gate starts: it lets 88% of a latent through.
GATE = 2.0


class MaskedDense(nn.Module):
    """A dense layer in which a unit of degree d is fed by those of degree d at most (MADE, Germain et al. 2015).

    Attributes:
      incoming: degree of each input.
      outgoing: degree of each output.
      gain: of the start, relative to the inputs.
    """

    incoming: tuple[int, ...]
    outgoing: tuple[int, ...]
    gain: float = 1.0

    @nn.compact
    def __call__(self, inputs: Float[Array, "batch incoming"]) -> Float[Array, "batch outgoing"]:
        """Without a bias, which the context brings."""
        start = nn.initializers.variance_scaling(self.gain**2, "fan_in", "truncated_normal")
        kernel = self.param("kernel", start, (len(self.incoming), len(self.outgoing)))
        fed = np.array(self.incoming)[:, None] <= np.array(self.outgoing)
        return inputs @ jnp.where(fed, kernel, 0.0)


class AutoregressiveStep(Step):
    """z -> sigma z + (1 - sigma) m, where m and the gate sigma of a latent depend on the context and those before it.

    Attributes:
      order: place of each latent, from 1.
      width: units of a hidden layer.
      layers: hidden layers.
    """

    order: tuple[int, ...]
    width: int
    layers: int

    def __call__(
        self, latent: Float[Array, "batch latents"], context: Float[Array, "batch context"]
    ) -> tuple[Float[Array, "batch latents"], Float[Array, " batch"]]:
        """The moved latents; the Jacobian is triangular with the gates on its diagonal."""
        mean, logit = self.mean_and_logit(latent, context)
        gate = nn.sigmoid(logit)
        return gate * latent + (1.0 - gate) * mean, nn.log_sigmoid(logit).sum(axis=-1)

    @nn.compact
    def mean_and_logit(
        self, latent: Float[Array, "batch latents"], context: Float[Array, "batch context"]
    ) -> tuple[Float[Array, "batch latents"], Float[Array, "batch latents"]]:
        """What each latent is moved towards, and the logit of its gate."""
        places = len(self.order)
        # From 1 to the last place but one, evenly; a single latent has nothing before it, and no output is fed by it.
        hidden_degrees = tuple(1 + unit * (places - 1) // self.width for unit in range(self.width))
        # An output is fed by what comes before its place.
        outputs = tuple(place - 1 for place in self.order) * 2
        hidden, degrees = latent, self.order
        for _ in range(self.layers):
            hidden = MaskedDense(degrees, hidden_degrees)(hidden) + nn.Dense(self.width)(context)
            hidden, degrees = nn.silu(hidden), hidden_degrees
        # Straight from the latents too: fewer hidden units than latents would cut some of them off from others.
        # Little of anything at the start, so that the step is close to the identity times the open gate.
        moved = MaskedDense(degrees, outputs, 0.1)(hidden) + MaskedDense(self.order, outputs, 0.1)(latent)
        mean, logit = jnp.split(moved + nn.Dense(2 * places, kernel_init=SMALL)(context), 2, axis=-1)
        return mean, logit + GATE


@dataclass(frozen=True)
class IAFOptions(Options):
    """Of the inverse autoregressive flow."""

    steps: int = option(4, "autoregressive steps, every second one in reversed order", at_least=1)
    width: int = option(256, "units of a hidden layer of a step", at_least=1)
    layers: int = option(1, "hidden layers of a step", at_least=1)
    context: int = option(64, "features of the image that every step sees", at_least=1)

    def build(self, *, latents: int) -> NormalizingFlow:
        """The module for codes of that size."""
        order = tuple(range(1, latents + 1))
        moves = tuple(
            AutoregressiveStep(order[::-1] if step % 2 else order, self.width, self.layers)
            for step in range(self.steps)
        )
        return NormalizingFlow(latents, moves, self.context)
