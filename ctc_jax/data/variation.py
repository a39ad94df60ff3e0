"""What is drawn anew each time that an image is seen: contrast, place, company. Tests: tests/data/test_variation.py."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from ctc_jax.options import OptionError

PIECE = 3  # a distractor is an image's piece with sides that many times shorter


@dataclass(frozen=True)
class Variation:
    """Images at random places of a black canvas, then random contrast and brightness.

    Objects that overlap are merged by the higher level, as bright ones on black are. Distractors are pieces of images,
    as in cluttered MNIST (Mnih et al. 2014, arXiv:1406.6247). An image keeps its range: contrast c makes level x of 0
    to M to b + c x, with the darkest level b within what is free, 0 to (1 - c) M.

    Attributes:
      highest: M, the highest level.
      canvas: its side, 0 for images as they are.
      objects: images on a canvas.
      distractors: pieces of images on a canvas.
      contrast: c is drawn evenly from 1 - contrast to 1.
      brightness: b is drawn evenly from 0 to this share of (1 - c) M.
    """

    highest: int
    canvas: int = 0
    objects: int = 1
    distractors: int = 0
    contrast: float = 0.0
    brightness: float = 0.0

    def check(self, height: int, width: int) -> None:
        """Refuses images that the canvas does not hold.

        Raises:
          OptionError: the canvas is smaller than they are.
        """
        if self.canvas and self.canvas < max(height, width):
            raise OptionError("canvas", self.canvas, f"0, or {max(height, width)} or more: images are {height}x{width}")

    def draw(
        self,
        images: UInt8[np.ndarray, "n height width channels"],
        rows: Int[np.ndarray, " rows"],
        generator: np.random.Generator,
    ) -> UInt8[np.ndarray, "rows _ _ channels"]:
        """The images of the rows, varied.

        Args:
          images: all from which company is drawn; the rows' own are the first objects.
          rows: which are wanted.
          generator: of all that is random.
        """
        return self.draw_with_corners(images, rows, generator)[0]

    def draw_with_corners(
        self,
        images: UInt8[np.ndarray, "n height width channels"],
        rows: Int[np.ndarray, " rows"],
        generator: np.random.Generator,
    ) -> tuple[UInt8[np.ndarray, "rows _ _ channels"], Int[np.ndarray, "rows objects 2"]]:
        """As `draw`, and the row and column at which the first pixel of each object lies, that of the image first."""
        corners = np.zeros((len(rows), self.objects, 2), np.int64)
        drawn = self._placed(images, rows, generator, corners) if self.canvas else np.asarray(images[rows])
        if not self.contrast:
            return drawn, corners
        shape = (len(rows), 1, 1, 1)
        contrast = 1.0 - self.contrast * generator.random(shape)
        darkest = self.brightness * generator.random(shape) * (1.0 - contrast) * self.highest
        return np.rint(darkest + contrast * drawn).astype(np.uint8), corners

    def _placed(self, images, rows, generator, corners):
        """The canvases; fills in the corners."""
        _, height, width, channels = images.shape
        canvas = np.zeros((len(rows), self.canvas, self.canvas, channels), np.uint8)
        company = self.objects + self.distractors - 1
        chosen = np.concatenate([rows[:, None], generator.integers(len(images), size=(len(rows), company))], axis=1)
        own = np.arange(len(rows))[:, None, None]
        for index in range(self.objects + self.distractors):
            piece = np.asarray(images[chosen[:, index]])
            if index >= self.objects:
                piece = _cut(piece, -(-height // PIECE), -(-width // PIECE), generator)
            down, right = (_corners(len(rows), self.canvas - side, side, generator) for side in piece.shape[1:3])
            if index < self.objects:
                corners[:, index] = np.stack([down[:, 0], right[:, 0]], axis=1)
            where = own, down[:, :, None], right[:, None, :]
            canvas[where] = np.maximum(canvas[where], piece)
        return canvas


def _corners(count, most, side, generator):
    """Rows, or columns, of patches of a side whose first one is 0 to `most`: `[count, side]`."""
    return generator.integers(most + 1, size=(count, 1)) + np.arange(side)


def _cut(images, height, width, generator):
    """A patch of each image at a random place."""
    down = _corners(len(images), images.shape[1] - height, height, generator)
    right = _corners(len(images), images.shape[2] - width, width, generator)
    return images[np.arange(len(images))[:, None, None], down[:, :, None], right[:, None, :]]
