"""The 1x1 convolution from decoder features to a likelihood's parameters. Tests: test_output_layer.py."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class OutputLayer(nn.Module):
    """A dense layer at every position; parameters float32, outputs float32 with positions innermost.

    Outputs come as `[outputs, positions]`, positions running over batch, height and width: the elementwise work that
    follows then runs over long contiguous rows. Split them before any reshaping of the positions, or XLA's CPU backend
    computes an index for each element instead of vectorizing.

    Attributes:
      units: what one unit of each output is worth, so that kernel and bias are learned at a scale near 1.
      start: each output's value at initialization, in units.
    """

    units: tuple[float, ...]
    start: tuple[float, ...]

    @nn.compact
    def __call__(self, features: Float[Array, "*batch height width features"]) -> Float[Array, "outputs positions"]:
        """Products in the features' dtype, sums in float32."""
        rows = features.reshape(-1, features.shape[-1])
        initializer = nn.initializers.variance_scaling(0.01, "fan_in", "normal")
        kernel = self.param("kernel", initializer, (rows.shape[-1], len(self.units)), jnp.float32)
        bias = self.param("bias", lambda *_: jnp.asarray(self.start, jnp.float32))
        units = jnp.asarray(self.units, jnp.float32)
        weights = (kernel * units[None]).astype(features.dtype)
        product = lax.dot_general(weights, rows, (((0,), (1,)), ((), ())), preferred_element_type=jnp.float32)
        return product + (bias * units)[:, None]


def values_last(
    outputs: Float[Array, "outputs positions"], values: tuple[int, ...], positions: tuple[int, ...]
) -> Float[Array, "..."]:
    """`[prod(values), prod(positions)]` as `[*positions, *reversed(values)]`.

    A view: XLA cancels it against the distribution's own way back.
    """
    outputs = outputs.reshape(*values, *positions)
    return outputs.transpose(*range(len(values), outputs.ndim), *reversed(range(len(values))))
