"""The picture of the README: one code's mean beside its samples, with one Gaussian per pixel and with CTC.

The code is a class of `shapes`, of which 64 images are equally likely. Runs that are not there yet are trained, two
minutes each on two cores. Further arguments go to launch.py. Tests: tests/benchmarks/claims/test_one_code.py.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Num

from benchmarks.harness.finished_runs import finish
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import save_figure
from benchmarks.harness.results import RESULTS
from ctc_jax.data import Batch
from ctc_jax.run import Run

LABEL, SAMPLES = 0, 8
ROWS = {"gaussian": "one Gaussian\nper pixel", "ctc": "CTC"}
Row = tuple[Num[np.ndarray, "height width"], Num[np.ndarray, "samples height width"]]


def data_row(run: Run, label: int = LABEL) -> Row:
    """The mean of a class's test images, and the first of them."""
    test = run.dataset.test
    images = test.images[test.labels == label][..., 0]
    return images.mean(axis=0), images[:SAMPLES]


def model_row(run: Run, label: int = LABEL) -> Row:
    """The mean of p(x given class), and samples of it."""
    infer, draw = jax.random.split(jax.random.key(run.config.seed))
    batch = Batch(np.zeros((1, *run.space.shape), np.uint8), np.array([label], np.int32))
    pixels = run.model.infer(run.params, infer, batch).pixels
    return np.asarray(pixels.mean)[0, ..., 0], np.asarray(pixels.sample(draw, (SAMPLES,)))[:, 0, ..., 0]


def draw(rows: Mapping[str, Row], path: Path, levels: int) -> None:
    """One row a law, by its name: its mean, then samples of it.

    Args:
      rows: from the top.
      path: the PNG.
      levels: the level that is white.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    count = len(next(iter(rows.values()))[1])
    figure, panels = pyplot.subplots(
        len(rows), 2 + count, figsize=(9.2, 2.9), width_ratios=[1, 0.15, *[1] * count], layout="constrained"
    )
    for line, (name, (mean, samples)) in zip(panels, rows.items(), strict=True):
        for panel, image in zip(np.delete(line, 1), [mean, *samples], strict=True):
            panel.imshow(image, cmap="gray", vmin=0, vmax=levels)
            panel.set(xticks=[], yticks=[])
        line[1].axis("off")
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    panels[0, 0].set_title("mean", fontsize=10)
    panels[0, 2].set_title("samples", fontsize=10, loc="left")
    save_figure(figure, path)
    pyplot.close(figure)


def main() -> None:
    """Trains what is not trained yet, and draws."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks" / "shapes")
    flags.add_argument("--output", type=Path, default=RESULTS / "one_code.png")
    flags.add_argument("--threads", type=int, default=0, help="cores to use; 0 is all")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    runs = {name: finish(f"configs/shapes_{name}.py,seed=0", arguments.workdirs, overrides) for name in ROWS}
    rows = {"the data": data_row(runs["ctc"])} | {ROWS[name]: model_row(run) for name, run in runs.items()}
    draw(rows, arguments.output, 2 ** runs["ctc"].space.bits - 1)


if __name__ == "__main__":
    main()
