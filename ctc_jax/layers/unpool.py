"""Pooled values back where their masks say. Tests: tests/layers/test_unpool.py."""

from dataclasses import dataclass

from jaxtyping import Array, Float

from ctc_jax.layers.windows import join_windows


@dataclass(frozen=True)
class Unpool:
    """The transpose of `StochasticMaxPool` for given masks, which the two share: 0 where nothing was selected.

    In the deterministic limit it is the gradient of max pooling.

    Attributes:
      window: that of the pooling.
    """

    window: tuple[int, int] = (2, 2)

    def __call__(
        self, pooled: Float[Array, "batch rows columns channels"], mask: Float[Array, "batch rows columns channels K"]
    ) -> Float[Array, "batch height width channels"]:
        """A feature map.

        Args:
          pooled: a value a window.
          mask: over the positions of each window, and the off state if the pooling has one.

        Raises:
          ValueError: the mask is over another number of positions.
        """
        positions = self.window[0] * self.window[1]
        if mask.shape[-1] - positions not in (0, 1):
            raise ValueError(
                f"masks over {mask.shape[-1]} alternatives for a window {self.window[0]} x {self.window[1]}; "
                f"allowed: {positions}, or {positions + 1} with an off state"
            )
        return join_windows(mask[..., :positions] * pooled[..., None], self.window)
