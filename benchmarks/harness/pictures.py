"""Pictures as docs/results keeps them: few colors, small files, plain names.

Tests: tests/benchmarks/harness/test_pictures.py.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ctc_jax.reporting.pictures import LABEL_HEIGHT
from ctc_jax.run import Run

COLORS = 80
MOST_BYTES = 150_000
MOST_BYTES_OF_A_RUN = 45_000


def compress(source: Path | io.BytesIO, target: Path) -> None:
    """Writes a picture with few colors as PNG, at half the size and again where it would pass 150 KB."""
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    while True:
        # Means of clusters keep the saturation of a noisy picture, which medians of boxes alone take from it.
        few = picture.quantize(COLORS, kmeans=2, dither=Image.Dither.NONE)
        few.save(target, "PNG", optimize=True)
        if target.stat().st_size <= MOST_BYTES:
            return
        picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)


def save_figure(figure: Any, path: Path) -> None:
    """Writes a Matplotlib figure."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    compress(drawn, path)


def file_name(words: str) -> str:
    """Words as part of a file's name: letters, digits, points and underscores, with hyphens between."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", words).strip("-")


def copy_pictures(run: Run, directory: Path, names: Sequence[str], label: str = "") -> list[str]:
    """Copies a run's pictures.

    Args:
      run: a finished run.
      directory: where to, beside a page and named as it.
      names: of the pictures; those that the run lacks are left out.
      label: of the run on the page and in the files' names; "" is its directory's name.

    Returns:
      Their Markdown, relative to the directory's parent.
    """
    directory.mkdir(parents=True, exist_ok=True)
    label, lines = label or run.workdir.name, []
    for name in names:
        source = run.workdir / "samples" / f"{name}.png"
        if source.exists():
            copy = directory / f"{file_name(label)}-{name}.png"
            compress(source, copy)
            _fewer_rows(copy)
            words = name.replace("_", " ")
            lines.append(f"{label}, {words}:\n\n![{words}]({directory.name}/{copy.name})")
    return lines


def _fewer_rows(path: Path) -> None:
    """Keeps the upper half of a picture's rows, under its labels, where the file is large: photographs are."""
    if path.stat().st_size > MOST_BYTES_OF_A_RUN:
        with Image.open(path) as opened:
            upper = opened.crop((0, 0, opened.width, (opened.height + LABEL_HEIGHT) // 2))
        upper.save(path, "PNG", optimize=True)
