"""The 1x1 convolution from decoder features to a likelihood's parameters. Tests: test_output_layer.py."""

from itertools import accumulate

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class OutputLayer(nn.Module):
    """A dense layer at every position; parameters float32, outputs float32 with positions innermost.

    Each group of outputs comes as `[outputs, positions]`, positions running over batch, height and width: the
    elementwise work that follows then runs over long contiguous rows. Reshaping the positions within that work makes
    XLA's CPU backend compute an index for each element instead of vectorizing.

    Attributes:
      units: for each group, what one unit of each output is worth, so that the kernel is learned at a scale near 1.
      start: for each group, each output's value at initialization, in units.
    """

    units: tuple[tuple[float, ...], ...]
    start: tuple[tuple[float, ...], ...]

    @nn.compact
    def __call__(
        self, features: Float[Array, "*batch height width features"]
    ) -> tuple[Float[Array, "_ positions"], ...]:
        """Products in the features' dtype, sums in float32."""
        rows = features.reshape(-1, features.shape[-1])
        units, start = (jnp.asarray(sum(groups, ()), jnp.float32) for groups in (self.units, self.start))
        initializer = nn.initializers.variance_scaling(0.01, "fan_in", "normal", in_axis=1, out_axis=0)
        kernel = self.param("kernel", initializer, (len(units), rows.shape[-1]), jnp.float32)
        bias = self.param("bias", lambda *_: start)
        weights = (kernel * units[:, None]).astype(features.dtype)
        # Kernel first and outputs first: the kernel's gradient is then a product without a transposition, 3x faster.
        product = lax.dot_general(weights, rows, (((1,), (1,)), ((), ())), preferred_element_type=jnp.float32)
        ends = list(accumulate(len(group) for group in self.units))[:-1]
        parts = zip(jnp.split(product, ends), jnp.split(bias * units, ends), strict=True)
        return tuple(part + offset[:, None] for part, offset in parts)


def values_last(
    outputs: Float[Array, "outputs positions"], values: tuple[int, ...], positions: tuple[int, ...]
) -> Float[Array, "..."]:
    """`[prod(values), prod(positions)]` as `[*positions, *reversed(values)]`.

    A view: XLA cancels it against the distribution's own way back.
    """
    outputs = outputs.reshape(*values, *positions)
    return outputs.transpose(*range(len(values), outputs.ndim), *reversed(range(len(values))))
