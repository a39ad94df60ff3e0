"""The state of a long short-term memory. Tests: tests/layers/test_recurrent_state.py."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class RecurrentState(NamedTuple):
    """Output and cell of a long short-term memory (Hochreiter and Schmidhuber 1997), float32.

    Attributes:
      output: what others see.
      cell: what is carried on.
    """

    output: Float[Array, "*batch units"]
    cell: Float[Array, "*batch units"]

    def advanced(self, gates: Float[Array, "*batch gates"]) -> "RecurrentState":
        """The next state, from what a layer makes of the input and of `output`: pre-activations of the input gate, the
        forget gate, the output gate and the candidate."""
        take, keep, show, candidate = jnp.split(gates.astype(jnp.float32), 4, axis=-1)
        # At the start it forgets half as fast as with a bias of 0, as is usual.
        cell = jax.nn.sigmoid(keep + 1.0) * self.cell + jax.nn.sigmoid(take) * jnp.tanh(candidate)
        return RecurrentState(jax.nn.sigmoid(show) * jnp.tanh(cell), cell)
