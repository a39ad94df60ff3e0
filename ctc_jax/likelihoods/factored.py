"""Features of a whole image before the dense layer that makes them is applied. Tests: test_output_layer.py."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class Factored(NamedTuple):
    """Features `hidden kernel + bias`. A likelihood whose outputs are fewer than the features multiplies its own dense
    layer with the kernel first, which is as much for a whole batch as the features would be for a few images.

    Attributes:
      hidden: units of a dense network.
      kernel: from these to the features of every pixel, float32.
      bias: of the features, float32.
    """

    hidden: Float[Array, "batch units"]
    kernel: Float[Array, "units height width features"]
    bias: Float[Array, "height width features"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the features."""
        return (len(self.hidden), *self.bias.shape)

    @property
    def product(self) -> Float[Array, "batch height width features"]:
        """The features, in the type of the hidden units."""
        kernel, bias = (of.astype(self.hidden.dtype) for of in (self.kernel, self.bias))
        flat = self.hidden @ kernel.reshape(len(kernel), -1) + bias.reshape(1, -1)
        return flat.reshape(self.shape)

    def through(
        self, weights: Float[Array, "outputs features"], offset: Float[Array, " outputs"]
    ) -> Float[Array, "outputs positions"]:
        """`weights features + offset` at every position, without the features."""
        kernel = jnp.einsum("of,uhwf->ouhw", weights, self.kernel).astype(self.hidden.dtype)
        bias = jnp.einsum("of,hwf->ohw", weights, self.bias) + offset[:, None, None]
        outputs = jnp.einsum("bu,ouhw->obhw", self.hidden, kernel, preferred_element_type=jnp.float32)
        return (outputs + bias[:, None]).reshape(len(weights), -1)


# What a likelihood that says so is given.
Features = Float[Array, "*batch height width features"] | Factored


class FactoredDense(nn.Module):
    """A dense layer from hidden units to the features of every pixel, not applied yet.

    Attributes:
      shape: height, width, features.
    """

    shape: tuple[int, int, int]

    @nn.compact
    def __call__(self, hidden: Float[Array, "batch units"]) -> Factored:
        """The parameters of `nn.Dense`."""
        height, width, features = self.shape
        size = (hidden.shape[-1], height * width * features)
        kernel = self.param("kernel", nn.linear.default_kernel_init, size, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, size[1:], jnp.float32)
        return Factored(hidden, kernel.reshape(-1, *self.shape), bias.reshape(self.shape))
