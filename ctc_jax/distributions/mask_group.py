"""Which positions share one mask: `pixel`, `patch:P` or `image`. Tests: test_mask_group.py."""

import re
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from ctc_jax.options import OptionError

ALLOWED = "pixel, patch:P with P >= 1 that divides the image's height and width, image"


@dataclass(frozen=True)
class MaskGroup:
    """Square patches of positions; all channels of a position belong to its group.

    Attributes:
      side: positions along a side of a patch; 0 is the whole image.
    """

    side: int

    @classmethod
    def parse(cls, text: str) -> "MaskGroup":
        """The group named `pixel`, `patch:P` or `image`.

        Raises:
          OptionError: the text is none of these.
        """
        patch = re.fullmatch(r"patch:([1-9]\d*)", text)
        if patch:
            return cls(int(patch.group(1)))
        if text in ("pixel", "image"):
            return cls(1 if text == "pixel" else 0)
        raise OptionError("mask_group", text, ALLOWED)

    def patch(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a patch in an image of that size.

        Raises:
          OptionError: the patches do not tile the image.
        """
        if self.side == 0:
            return height, width
        if height % self.side or width % self.side:
            raise OptionError("mask_group", f"patch:{self.side}", f"{ALLOWED}; images are {height}x{width}")
        return self.side, self.side

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of groups."""
        rows, columns = self.patch(height, width)
        return height // rows, width // columns

    def total(self, array: Shaped[Array, "*batch height width"]) -> Shaped[Array, "*batch rows columns"]:
        """Sum over each group's positions."""
        if self.side == 1:
            return array
        *batch, height, width = array.shape
        (rows, columns), (high, wide) = self.grid(height, width), self.patch(height, width)
        return jnp.sum(array.reshape(*batch, rows, high, columns, wide), axis=(-3, -1))

    def every(self, array: Shaped[Array, "*batch height width"]) -> Shaped[Array, "*batch rows columns"]:
        """Whether a condition holds at all of a group's positions."""
        return self.total((~array).astype(jnp.int32)) == 0

    def upsample(
        self, array: Shaped[Array, "*batch rows columns"], height: int, width: int
    ) -> Shaped[Array, "*batch height width"]:
        """Each group's entry at all of its positions."""
        if self.side == 1:
            return array
        *batch, rows, columns = array.shape
        high, wide = self.patch(height, width)
        tiled = jnp.broadcast_to(array[..., :, None, :, None], (*batch, rows, high, columns, wide))
        return tiled.reshape(*batch, height, width)
