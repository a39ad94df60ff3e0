"""Radial power spectra of samples and means beside real images. Part of founding_claim.py."""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from benchmarks.harness.pictures import save_figure
from ctc_jax.evaluation.multimodality import draw_likely
from ctc_jax.evaluation.spectrum import radial_spectrum
from ctc_jax.run import Run

IMAGES = 512
PER_CODE = 1


def plot_spectra(runs: Mapping[str, Run], path: Path) -> None:
    """A line a row: at the left of samples, at the right of the likelihoods' means; the test images in black."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    first = next(iter(runs.values()))
    levels, test = 2**first.space.bits - 1, first.dataset.test.images
    data = radial_spectrum(test[np.arange(IMAGES) * len(test) // IMAGES], levels)
    figure, panels = pyplot.subplots(1, 2, figsize=(9.5, 3.8), sharey=True, layout="constrained")
    colors = pyplot.get_cmap("turbo")(np.linspace(0.05, 0.95, len(runs)))
    for color, (name, run) in zip(colors, runs.items(), strict=True):
        likely = draw_likely(run.model, run.params, latents=IMAGES, samples=PER_CODE, seed=0)
        for panel, images in zip(panels, (likely.samples[:, 0], likely.mean), strict=True):
            spectrum = radial_spectrum(images, levels)
            panel.plot(spectrum.frequency, spectrum.power, color=color, linewidth=1.3, label=name)
        jax.clear_caches()
    for panel, title in zip(panels, ("samples", "means of the likelihood"), strict=True):
        panel.plot(data.frequency, data.power, color="black", linewidth=2.0, label="test images")
        panel.set(title=title, xlabel="cycles a pixel", yscale="log")
        panel.grid(color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel("power")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    save_figure(figure, path)
    pyplot.close(figure)
