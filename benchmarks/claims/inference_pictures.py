"""Two pictures of inference beyond the recognition model: chains on a posterior of two modes, and digits refined.

The posterior is exact, from log p(x, z) on a grid; the digits are those of 500 test images on which descent gains most,
by the model of configs/mnist_bernoulli.py after 3,000 steps. Further arguments go to launch.py. Some minutes on a core.
"""

import argparse
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy.special import logsumexp

from benchmarks.harness.finished_runs import finish
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import compress, save_figure
from benchmarks.harness.results import RESULTS
from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked, MaskedDistribution, standard
from ctc_jax.inference import HMC, MALA, Descent, InferenceOptions, Langevin, infer
from ctc_jax.models import ChainModel
from ctc_jax.reporting.pictures import labeled_rows, save_png
from ctc_jax.run import Run

MOVES, CHAINS = 400, 64
# Of these in the picture, and their moves.
SHOWN, WALKED = 12, 40
METHODS = {
    "descent": Descent(step_size=0.02),
    "langevin": Langevin(step_size=0.02),
    "mala": MALA(step_size=0.1),
    "hmc": HMC(step_size=0.2, leapfrogs=8),
}
IMAGE = np.array([2, 1]).reshape(1, 1, 2, 1)
LIMITS = np.array([[-2.6, 2.6], [-2.0, 2.6]])
CONFIG = "configs/mnist_bernoulli.py,train.steps=3000,evaluate.importance_samples=2"
IMAGES, ROWS, AFTER = 500, 8, (3, 10, 30, 100)


class TwoModes(nn.Module):
    """z ~ N(0, I), x = ((z_0 + 0.15)^2, z_1 + z_0^2 / 2) + noise: of x_0 there are two roots, one likelier a priori.

    q is the Gaussian of the posterior's mean and widths, which lies between the modes.
    """

    image_shape = (1, 2, 1)
    latents = ("z",)
    mask_sites = ()

    def inputs(self, images):
        """As they are."""
        return images.astype(jnp.float32)

    def encode(self, batch):
        """The batch."""
        return batch

    def begin(self, count):
        """Its size."""
        return count

    def prior_of(self, name, hidden):
        """N(0, I)."""
        return standard((hidden, 2))

    def posterior_of(self, name, features, hidden, prior, step):
        """The same for every image."""
        shape = (len(features.image), 2)
        loc, scale = (jnp.broadcast_to(jnp.asarray(of)[None], shape) for of in ((0.1, 0.3), (1.0, 0.7)))
        return MaskedDistribution(None, None, dist.Normal(loc, scale))

    def advance(self, name, hidden, latent):
        """The code."""
        return latent.product

    def pixels(self, hidden):
        """Two pixels, which are no levels but real numbers."""
        loc = jnp.stack([(hidden[:, 0] + 0.15) ** 2, hidden[:, 1] + hidden[:, 0] ** 2 / 2], axis=1)
        return dist.Normal(loc[:, None, :, None], 0.6).to_event(3)


def modes(path: Path) -> None:
    """A panel a method: contours of the posterior, those of q dashed, and a dozen of the chains."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    model, batch = ChainModel(TwoModes()), Batch(jnp.asarray(IMAGE), jnp.zeros(1, jnp.int32))
    axes = [np.linspace(*limits, 241) for limits in LIMITS]
    grid = np.stack(np.meshgrid(*axes), axis=-1)
    density = posterior(model, batch, grid)
    exact = density[grid[..., 0] > 0].sum()
    figure, panels = pyplot.subplots(1, len(METHODS), figsize=(13, 3.7), sharey=True, layout="constrained")
    for panel, (name, method) in zip(panels, METHODS.items(), strict=True):
        found = infer(model, {}, jax.random.key(0), batch, method, InferenceOptions(CHAINS, 0, MOVES))
        paths = np.asarray(found.latents["z"].value)[:, :, 0]
        panel.contour(*axes, density, levels=density.max() * np.array([0.02, 0.1, 0.3, 0.6, 0.9]), colors="#5b6570")
        panel.contour(*axes, _of_q(grid), levels=[0.1, 0.6], colors="#8f8f3f", linestyles="dashed")
        for chain in range(min(SHOWN, paths.shape[1])):
            walked = paths[:WALKED, chain]
            color = "#c2452d" if walked[-1, 0] > 0 else "#3b76af"
            panel.plot(*walked.T, color=color, linewidth=0.7, alpha=0.7)
            panel.plot(*walked[0], "o", color=color, markersize=4, markerfacecolor="white")
            panel.plot(*walked[-1], "o", color=color, markersize=4)
        share = (paths[MOVES // 2 :, :, 0] > 0).mean()
        words = f"{name}: {share:.0%} at the right" + (f" (exact {exact:.0%})" if method.samples else "")
        panel.set_title(words, loc="left", fontsize=9)
        panel.set(xlim=LIMITS[0], ylim=LIMITS[1], xlabel="z 0")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("z 1")
    save_figure(figure, path)
    pyplot.close(figure)


def posterior(model: ChainModel, batch: Batch, grid: np.ndarray) -> np.ndarray:
    """p(z | x) of an image at the points of a grid `[rows, columns, 2]`, up to a factor: their sum is 1."""
    many = Batch(*(jnp.repeat(leaf, grid[..., 0].size, axis=0) for leaf in batch))
    log_joint = np.float64(model.joint({}, many, {"z": Masked(jnp.asarray(grid.reshape(-1, 2), jnp.float32))}).total)
    return np.exp(log_joint - logsumexp(log_joint)).reshape(grid.shape[:2])


def _of_q(grid: np.ndarray) -> np.ndarray:
    apart = (grid - (0.1, 0.3)) / (1.0, 0.7)
    return np.exp(-0.5 * np.sum(apart**2, axis=-1))


def digits(run: Run, path: Path) -> None:
    """A row a digit: itself, the start, and after ever more moves of descent and of Langevin dynamics."""
    test = run.dataset.test.images[:IMAGES]
    gain = run.infer(test, method="descent", warmup=0, draws=max(AFTER)).gain[0]
    images = test[np.argsort(-gain)[:ROWS]]
    columns, labels = [images.astype(np.float64), run.decode(run.encode(images)).mean], ["image", "start"]
    for name, options in (("descent", {}), ("langevin", {"step_size": 0.003, "chains": 1})):
        found = run.infer(images, method=name, warmup=0, draws=max(AFTER), **options)
        for moves in AFTER:
            columns.append(run.decode({"z": found.latents["z"].value[moves - 1, 0]}).mean)
            labels.append(f"{name} {moves}")
    cells = np.stack([np.asarray(column) for column in columns], axis=1)
    save_png(path, labeled_rows(cells, labels, levels=2**run.space.bits - 1))
    compress(path, path)


def main() -> None:
    """Draws both."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--output", type=Path, default=RESULTS, help="directory of the pictures")
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks", help="directory of the run")
    flags.add_argument("--threads", type=int, default=0, help="cores to use; 0 is all")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    modes(arguments.output / "inference_modes.png")
    digits(finish(CONFIG, arguments.workdirs, overrides), arguments.output / "refinement_digits.png")


if __name__ == "__main__":
    main()
