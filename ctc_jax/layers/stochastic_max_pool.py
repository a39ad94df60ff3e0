"""A categorical mask over each pooling window of a feature map. Tests: tests/layers/test_stochastic_max_pool.py."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import CategoricalTimesContinuous
from ctc_jax.layers.mask_parameters import MaskParameters, check_beta
from ctc_jax.layers.masked_draw import select_values
from ctc_jax.layers.masked_layer import MaskedLayer
from ctc_jax.layers.windows import split_windows


class StochasticMaxPool(MaskedLayer):
    """One position of each window and channel is chosen, and its value passed on.

    Tied, its limit as beta goes to infinity is max pooling, which `math.inf` gives exactly, gradient included: at a
    tie the first position, row by row, is chosen, as the gradient of `nn.max_pool` does. (A large finite beta chooses
    among tied positions at random: the value is the same.) With `off` (probabilistic max pooling, Lee et al. 2009) a
    window may pass on 0; its logit is 0, so that the limit is the ReLU of max pooling.

    `Unpool` puts values back by the mask. A decoder that is handed the mask must pay for it: its KL belongs in the
    bound.

    Attributes:
      window: height and width of a window.
      off: whether a window may be off.
      beta: of masks tied to the pre-activations; `math.inf` for max pooling; None for logits of their own.
      gaussian: values are Gaussian around the pre-activations with a learned scale; else the pre-activations.

    Raises:
      ValueError: beta is not above 0, or a window leaves no choice; when called, the window does not divide the
        feature map (`check_window` tells before).
    """

    window: tuple[int, int] = (2, 2)
    off: bool = False
    beta: float | None = 1.0
    gaussian: bool = False

    def __post_init__(self):
        check_beta(self.beta)
        positions = self.window[0] * self.window[1]
        if min(self.window) < 1 or positions + self.off < 2:
            size = f"{self.window[0]} x {self.window[1]}"
            raise ValueError(f"window {size} leaves no choice (K = {positions}); allowed: 2 positions, or 1 and off")
        super().__post_init__()

    @nn.compact
    def distribution(self, features: Float[Array, "batch height width channels"]) -> CategoricalTimesContinuous:
        """Of each window: batch shape `[batch, rows, columns, channels]`, event shape `[positions]`."""
        units = MaskParameters(self.beta, self.gaussian, name="parameters")(features)
        return units.arranged(lambda features: split_windows(features, self.window)).choices(self.off)

    def select(
        self,
        mask: Float[Array, "batch rows columns channels masks"],
        values: Float[Array, "batch rows columns channels positions"],
    ) -> Float[Array, "batch rows columns channels"]:
        """The pooled values; beside them in a draw are the masks that `Unpool` needs."""
        return jnp.sum(select_values(mask, values), axis=-1)
