"""Whether q(z|x) is as wide as it should be: simulation-based calibration (Talts et al. 2018, arXiv:1804.06788).

Tests: tests/evaluation/test_calibration.py.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.models import Latents, Model, Params
from ctc_jax.reporting import draw_rank_histograms

# Draws of q for an image, so that there are 100 ranks; images a device call.
DRAWS, CHUNK = 99, 100
# Numbers of bins, each of as many ranks; a bin has at least `IN_BIN` images, as the chi-square law needs.
BINS, IN_BIN = (20, 10, 5, 4, 2), 5
LEAST = IN_BIN * BINS[-1]
# A p-value below which a latent is said not to be calibrated.
CERTAIN = 0.01
# Histograms of a latent in the picture.
SHOWN = 3
# The row of the quantity that is no latent.
LIKELIHOOD = "log_likelihood"


class Calibration(NamedTuple):
    """Where true latents rank among draws of q, uniform from 0 to `DRAWS` where q is the posterior.

    Attributes:
      ranks: of each number of each latent by name, of masks beside values under `NAME_mask`; and of log p(x | z) under
        "log_likelihood", by which a q is told that ignores the image, and whose latents all rank evenly.
    """

    ranks: dict[str, Int[np.ndarray, "images units"]]

    def counts(self) -> dict[str, Int[np.ndarray, "units bins"]]:
        """Histograms of the ranks in bins of equal width."""
        images = len(next(iter(self.ranks.values())))
        bins = next(bins for bins in BINS if images >= IN_BIN * bins)
        width = (DRAWS + 1) // bins
        return {
            name: np.stack([np.bincount(unit, minlength=bins) for unit in (ranks // width).T])
            for name, ranks in self.ranks.items()
        }

    def p_values(self) -> dict[str, Float[np.ndarray, " units"]]:
        """Of each number, the chance of a histogram as uneven as its own if q were the posterior (chi-square)."""
        from scipy import stats  # late, as in rank_histograms.py

        found = {}
        for name, counts in self.counts().items():
            expected = counts.sum(axis=1, keepdims=True) / counts.shape[1]
            found[name] = stats.chi2.sf(((counts - expected) ** 2 / expected).sum(axis=1), counts.shape[1] - 1)
        return found

    def spread(self) -> dict[str, Float[np.ndarray, " units"]]:
        """Mean squared distance of ranks from the middle over that of even ones: above 1 q is too narrow or beside the
        posterior, 3 at most; below 1 it is too wide."""
        middle, even = DRAWS / 2, DRAWS * (DRAWS + 2) / 12
        return {name: ((ranks - middle) ** 2).mean(axis=0) / even for name, ranks in self.ranks.items()}


def calibration(model: Model, params: Params, key: Key[Array, ""], images: int) -> Calibration:
    """Draws latents and images of the model, and ranks these latents among draws of q given their image.

    Equal numbers, as masks are, rank in random order: ranks stay even where q is the posterior.

    Args:
      model: any.
      params: its parameters.
      key: of everything drawn.
      images: how many, at least 10; 100 and more have the finest histograms.
    """
    parts: list[dict[str, np.ndarray]] = []
    for first in range(0, images, CHUNK):
        # Always a full call, so that one shape is compiled; what is too much is cut off below.
        key_true, key_ties, *keys = jax.random.split(jax.random.fold_in(key, first), 2 + DRAWS)
        batch, truth = _simulated(model, params, key_true, CHUNK)
        # A loop of the host: a convolution within a compiled one is slow on CPUs.
        compared = [_compared(model, params, of, batch, truth) for of in keys]
        below, equal = jax.tree.map(lambda *of: sum(np.asarray(one, np.int64) for one in of), *compared)
        random = np.random.default_rng(np.asarray(jax.random.key_data(key_ties)))
        parts.append({name: of + random.integers(0, equal[name] + 1) for name, of in below.items()})
    names = sorted(parts[0], key=LIKELIHOOD.__eq__)  # the latents first
    return Calibration({name: np.concatenate([part[name] for part in parts])[:images] for name in names})


def calibration_statistics(found: Calibration) -> dict[str, int | float]:
    """Of each latent, and of log p(x | z).

    Returns:
      `calibration_p_value/<layer>`: the least of its numbers' p-values times how many there are (Bonferroni), at most
        1: near 0 q is not the posterior.
      `miscalibrated_units/<layer>`: how many of them are below 0.01 by that measure.
      `rank_spread/<layer>`: mean over them of `Calibration.spread`.
    """
    numbers: dict[str, int | float] = {}
    spread = found.spread()
    for name, values in found.p_values().items():
        corrected = np.minimum(1.0, values * len(values))
        numbers[f"calibration_p_value/{name}"] = float(corrected.min())
        numbers[f"miscalibrated_units/{name}"] = int(np.sum(corrected < CERTAIN))
        numbers[f"rank_spread/{name}"] = float(spread[name].mean())
    return {**numbers, "calibration_images": len(next(iter(found.ranks.values())))}


def calibration_picture(found: Calibration) -> bytes:
    """A PNG of the rank histograms that are least even: up to `SHOWN` numbers of each latent, and the likelihood's."""
    counts, panels = found.counts(), {}
    for name, values in found.p_values().items():
        for unit in np.argsort(values, kind="stable")[:SHOWN]:
            of = name.replace("_", " ") + ("" if len(values) == 1 else f" {unit}")
            panels[f"{of}, p = {values[unit]:.2g}"] = counts[name][unit]
    return draw_rank_histograms(panels)


@partial(jax.jit, static_argnums=(0, 3))
def _simulated(model: Model, params: Params, key: Key[Array, ""], count: int) -> tuple[Batch, dict[str, Array]]:
    """Images of the model, and the quantities of the latents behind them."""
    key_latents, key_pixels = jax.random.split(key)
    latents, pixels = model.generate(params, key_latents, count)
    batch = Batch(pixels.sample(key_pixels), jnp.zeros(count, jnp.int32))
    return batch, quantities(model, latents, model.joint(params, batch, latents).log_likelihood)


@partial(jax.jit, static_argnums=0)
def _compared(
    model: Model, params: Params, key: Key[Array, ""], batch: Batch, truth: dict[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Whether each quantity of a draw of q is below the true one, and whether it is equal."""
    trace = model.infer(params, key, batch)
    drawn = quantities(model, {name: site.draw for name, site in trace.sites.items()}, trace.log_likelihood)
    return (
        {name: of < truth[name] for name, of in drawn.items()},
        {name: of == truth[name] for name, of in drawn.items()},
    )


def quantities(
    model: Model, latents: Latents, log_likelihood: Float[Array, " batch"]
) -> dict[str, Float[Array, "batch units"]]:
    """The numbers of latents that are ranked: products of mask and value, the masks of these, and log p(x | z)."""
    valued = {site.name for site in model.mask_sites if site.valued}
    shown = {name: latent.product for name, latent in latents.items()}
    shown |= {f"{name}_mask": latents[name].mask for name in latents if name in valued}
    return {name: of.reshape(len(of), -1) for name, of in {**shown, LIKELIHOOD: log_likelihood}.items()}
