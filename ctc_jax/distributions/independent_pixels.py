"""Independent pixels: a distribution on levels whose last three batch axes are one image.

Tests: test_independent_pixels.py.
"""

from jaxtyping import Array, Int
from numpyro.distributions import Distribution, Independent


class IndependentPixels(Independent):
    """`base` with `[*batch, height, width, channels]` of levels read as images.

    Args:
      base: a distribution on single levels that has a `mode`.
    """

    def __init__(self, base: Distribution, *, validate_args: bool | None = None):
        super().__init__(base, 3, validate_args=validate_args)
        self.has_enumerate_support = False  # that of a pixel's levels is not that of images

    @property
    def mode(self) -> Int[Array, "..."]:
        """The most probable image, int32 levels."""
        return self.base_dist.mode
