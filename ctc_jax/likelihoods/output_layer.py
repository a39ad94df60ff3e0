"""The 1x1 convolution from decoder features to a likelihood's parameters. Tests: test_output_layer.py."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class OutputLayer(nn.Module):
    """A dense layer at every position; parameters float32, outputs float32 with positions innermost.

    Outputs come as `[outputs, *batch, height, width]`: the elementwise work that follows then runs over long
    contiguous rows instead of a handful of parameters.

    Attributes:
      units: what one unit of each output is worth, so that kernel and bias are learned at a scale near 1.
      start: each output's value at initialization, in units.
    """

    units: tuple[float, ...]
    start: tuple[float, ...]

    @nn.compact
    def __call__(
        self, features: Float[Array, "*batch height width features"]
    ) -> Float[Array, "outputs *batch height width"]:
        """Products in the features' dtype, sums in float32."""
        outputs = len(self.units)
        initializer = nn.initializers.variance_scaling(0.01, "fan_in", "normal")
        kernel = self.param("kernel", initializer, (features.shape[-1], outputs), jnp.float32)
        bias = self.param("bias", lambda *_: jnp.asarray(self.start, jnp.float32))
        units = jnp.asarray(self.units, jnp.float32)
        weights = (kernel * units[None]).astype(features.dtype)
        contraction = (((0,), (features.ndim - 1,)), ((), ()))
        product = lax.dot_general(weights, features, contraction, preferred_element_type=jnp.float32)
        return product + (bias * units).reshape(outputs, *(1,) * (features.ndim - 1))
