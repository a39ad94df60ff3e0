"""Images of pixel levels laid out as pictures to look at, and saved as PNG or GIF. Tests: test_pictures.py.

Every function takes levels 0..`levels` with 1 (gray), 2 (gray and opacity), 3 (RGB) or 4 (RGBA) channels, enlarges
small images by a whole factor (nearest neighbor, so that a pixel stays a pixel) and returns uint8 [height, width, 3].
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, ImageDraw, ImageFont

from ctc_jax import process
from ctc_jax.whole_file import replaced

BACKGROUND = (194, 208, 228)  # neither black, white nor gray, so that the edge of any image shows
CELL = 96  # pixels that a small image's longer side is enlarged to, at least
LABEL_HEIGHT = 20
LABEL_SIZE = 13

Images = Num[Any, "count height width channels"]
Picture = UInt8[np.ndarray, "picture_height picture_width 3"]


def grid(images: Images, columns: int, *, levels: int = 255, scale: int | None = None, gap: int = 2) -> Picture:
    """Images in reading order, `columns` a row, `gap` pixels around each; cells left over are background.

    Args:
      images: levels; a float (such as a mean) is rounded to the nearest of 256 shades.
      columns: images a row, at least 1.
      levels: the level that is white.
      scale: whole factor by which each image is enlarged; None chooses one.
      gap: background between images, in pixels of the picture.

    Raises:
      ValueError: the images do not have 1 to 4 channels.
    """
    cells = _cells(images, levels, scale)
    columns = max(1, min(columns, len(cells)))
    rows = [list(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return _lay_out(rows, [gap] * (columns + 1), gap)


def pair_grid(
    inputs: Images,
    reconstructions: Images,
    columns: int = 4,
    *,
    levels: int = 255,
    scale: int | None = None,
    gap: int = 2,
    labels: tuple[str, str] = ("input", "reconstruction"),
) -> Picture:
    """Each input with its reconstruction at its right, `columns` pairs a row, a wide gap between pairs."""
    cells = [_cells(images, levels, scale) for images in (inputs, reconstructions)]
    columns = max(1, min(columns, len(cells[0])))
    pairs = [image for pair in zip(*cells, strict=True) for image in pair]
    rows = [pairs[start : start + 2 * columns] for start in range(0, len(pairs), 2 * columns)]
    gaps = [gap] + [gap, _wide(gap)] * columns
    gaps[-1] = gap
    return _lay_out(rows, gaps, gap, labels=[*labels] * columns)


def mean_and_samples(
    mean: Images,
    samples: Num[Any, "count samples height width channels"],
    *,
    levels: int = 255,
    scale: int | None = None,
    gap: int = 2,
    heading: str = "samples",
) -> Picture:
    """One row a latent: the mean of p(x|z) at the left, then, after a wide gap, samples of p(x|z).

    Args:
      mean: means of the pixel distribution, in levels.
      samples: several samples of the same pixel distribution.
      levels: the level that is white.
      scale: whole factor by which each image is enlarged; None chooses one.
      gap: background between images, in pixels of the picture.
      heading: of what is at the right, where it is something else.
    """
    left = _cells(mean, levels, scale)
    rows = [[left[row], *_cells(samples[row], levels, scale)] for row in range(len(left))]
    count = np.shape(samples)[1]
    gaps = [gap, _wide(gap)] + [gap] * count
    return _lay_out(rows, gaps, gap, labels=["mean", heading] + [""] * (count - 1))


def labeled_rows(
    images: Num[Any, "rows columns height width channels"],
    labels: Sequence[str],
    *,
    levels: int = 255,
    scale: int | None = None,
    gap: int = 2,
) -> Picture:
    """Rows of images with a label above each column, as `grid` otherwise."""
    rows = [list(_cells(row, levels, scale)) for row in images]
    return _lay_out(rows, [gap] * (len(labels) + 1), gap, labels=labels)


def save_png(path: Path, array: Picture) -> None:
    """Writes the picture, making its folder."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    save_bytes(path, buffer.getvalue())


def save_gif(path: Path, frames: Sequence[Picture], *, seconds: float, rest: float) -> None:
    """Writes pictures of one size as an animation without end, making its folder.

    Args:
      path: the file.
      frames: in order.
      seconds: that all but the last are shown together; browsers show none shorter than two hundredths.
      rest: seconds that the last is shown.
    """
    each = max(20, round(1000 * seconds / max(1, len(frames) - 1)))
    shown, buffer = [each] * (len(frames) - 1) + [round(1000 * rest)], io.BytesIO()
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=shown, loop=0)
    save_bytes(path, buffer.getvalue())


def save_bytes(path: Path, picture: bytes) -> None:
    """Writes a picture that is a file's content already, making its folder."""
    if not process.is_leader():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        temporary.write_bytes(picture)


def _wide(gap: int) -> int:
    return 6 * gap + 4


def _cells(images: Images, levels: int, scale: int | None) -> UInt8[np.ndarray, "count cell_height cell_width 3"]:
    """Levels to RGB, enlarged; opacity is laid over the background."""
    shades = np.clip(np.rint(np.asarray(images, np.float64) * (255 / levels)), 0, 255)
    height, width, channels = shades.shape[1:]
    if not 1 <= channels <= 4:
        raise ValueError(f"images with {channels} channels cannot be drawn; 1 to 4 can")
    color = shades[..., :3] if channels >= 3 else np.repeat(shades[..., :1], 3, axis=-1)
    if channels in (2, 4):
        opacity = shades[..., -1:] / 255
        color = np.rint(opacity * color + (1 - opacity) * np.asarray(BACKGROUND, np.float64).reshape(1, 1, 1, 3))
    factor = scale or -(-CELL // max(height, width))
    return color.astype(np.uint8).repeat(factor, axis=1).repeat(factor, axis=2)


def _lay_out(
    rows: Sequence[Sequence[UInt8[np.ndarray, "cell_height cell_width 3"]]],
    gaps: Sequence[int],
    gap: int,
    labels: Sequence[str] = (),
) -> Picture:
    """Rows of equal cells; `gaps` are the spaces before each column and after the last, `labels` stand on top."""
    if not rows:
        return np.full((CELL, CELL, 3), BACKGROUND, np.uint8)
    height, width, _ = rows[0][0].shape
    top = LABEL_HEIGHT if labels else gap
    lefts = np.cumsum(gaps[:-1]) + width * np.arange(len(gaps) - 1)
    picture = np.full((top + len(rows) * (height + gap), lefts[-1] + width + gaps[-1], 3), BACKGROUND, np.uint8)
    for row, cells in enumerate(rows):
        y = top + row * (height + gap)
        for left, cell in zip(lefts, cells, strict=False):  # the last row may be short
            picture[y : y + height, left : left + width] = cell
    return _with_labels(picture, lefts.tolist(), labels) if labels else picture


def _with_labels(picture: Picture, lefts: Sequence[int], labels: Sequence[str]) -> Picture:
    """Writes each label above its column; one that would touch its neighbor or the edge is left out."""
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(LABEL_SIZE)
    end = 0.0
    for left, label in zip(lefts, labels, strict=True):
        following = left + draw.textlength(label, font=font)
        if label and left >= end and following <= picture.shape[1]:
            draw.text((left, LABEL_HEIGHT // 2), label, fill=(32, 32, 32), font=font, anchor="lm")
            end = following + LABEL_SIZE / 2
    return np.array(canvas)
