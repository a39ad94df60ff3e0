"""What the units of a code do, in pictures: on the way between images, one by one, and what each costs.

Tests: tests/evaluation/test_code_pictures.py.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.special import digamma

from ctc_jax.data import Split
from ctc_jax.distributions import CATEGORICAL
from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.distributions.masked import Masked
from ctc_jax.evaluation.even_rows import even_batch, even_rows
from ctc_jax.models import Latents, Model, Params, Site
from ctc_jax.reporting import Picture, labeled_rows, save_bytes, save_png
from ctc_jax.reporting.curves import color
from ctc_jax.reporting.latent_groups import together
from ctc_jax.reporting.panel import Line, draw_panel

JUDGED = 32  # images by which units are chosen and their costs are found, and between which codes move
DRAWS = 16  # of the latents of each
ROWS, STEPS, REACH = 8, 7, 3.0  # rows of a picture, columns between its ends, prior's standard deviations to each side
CAPTIONS = {
    "interpolation": "Codes on the way from one test image to another: the likelihood's mean, where values move in a "
    "straight line and masks change over one after another",
    "traversal": "Each row one unit of the first latent, those first that differ most from image to image: the "
    "likelihood's mean as it goes from -3 to 3 standard deviations of its prior, or through the alternatives of its "
    "mask; all other units are those of the test image at the left, latents below at their priors' means",
    "unit_kl": "What each unit of a latent costs, the dearest first: KL from q to the prior, mean over test images; of "
    "a recognition model without a closed form that of a Gaussian with the mean and variance of its draws",
}


class Codes(NamedTuple):
    """Latents of some images.

    Attributes:
      drawn: of each image one draw, by name, and what is given with the image.
      activity: of each latent that is drawn, the variance over images of a unit's mean: of its mask, or in standard
        deviations of the prior where nothing is masked.
      priors: mean and standard deviation of the values of each latent without masks, at the first image.
      kl: nats of each unit, mean over images, of the latents of which it is known.
    """

    drawn: Latents
    activity: dict[str, Float[Array, " units"]]
    priors: dict[str, tuple[Array, Array]]
    kl: dict[str, Float[Array, " units"]]


def draw_code_pictures(
    model: Model, params: Params, split: Split, directory: Path, *, levels: int, seed: int
) -> list[Picture]:
    """Interpolations between test images, traversals of the units that say most, and the KL of every unit.

    Args:
      model: any model; one without latents of its own has no such pictures.
      params: its parameters.
      split: where the images come from.
      directory: gets `interpolation.png`, `traversal.png` and `unit_kl.svg`.
      levels: the highest pixel level.
      seed: of all samples.
    """
    batch = even_batch(split, JUDGED)
    codes = jax.device_get(_read(model, params, jax.random.key(seed), batch))
    if not codes.activity:
        return []
    images = np.asarray(batch.image)
    save_png(directory / "interpolation.png", _interpolations(model, params, codes, images, levels, seed))
    save_png(directory / "traversal.png", _traversals(model, params, codes, images, levels))
    names = ["interpolation.png", "traversal.png"]
    if codes.kl:
        save_bytes(directory / "unit_kl.svg", unit_costs(codes.kl).encode())
        names.append("unit_kl.svg")
    return [Picture(CAPTIONS[Path(name).stem], directory / name) for name in names]


@partial(jax.jit, static_argnums=0)
def _read(model: Model, params: Params, key: Key[Array, ""], batch: Any) -> Codes:
    kinds = {site.name: site.kind for site in model.mask_sites}

    def draw(key):
        trace = model.infer(params, key, batch)
        priors = {name: _prior_of(site) for name, site in trace.sites.items() if site.draw.mask is None}
        return trace.latents, {name: _unit_kl(site) for name, site in trace.sites.items()}, priors

    latents, kl, priors = jax.vmap(draw)(jax.random.split(key, DRAWS))
    known = {name: jnp.mean(of, axis=(0, 1)).ravel() for name, of in kl.items() if of is not None}
    units = {name: (latents[name].value - mean) / scale for name, (mean, scale) in priors.items()}
    by_draws = {name: jnp.mean(gaussian_kl(of), axis=0).ravel() for name, of in units.items() if name not in known}
    return Codes(
        drawn=jax.tree.map(lambda leaf: leaf[0], latents),
        activity={name: _activity(units.get(name, latents[name].mask), kinds.get(name)) for name in kl},
        priors=jax.tree.map(lambda leaf: leaf[0, 0], priors),
        kl={name: {**known, **by_draws}[name] for name in kl if name in known or name in by_draws},
    )


def _prior_of(site: Site) -> tuple[Float[Array, "batch ..."], Float[Array, "batch ..."]]:
    return site.prior.values.mean, jnp.sqrt(site.prior.values.variance)


def _activity(draws: Float[Array, "draws batch ..."], kind: MaskKind | None) -> Float[Array, " units"]:
    """The variance over images of a unit's mean, by few draws of each: that of their average less what draws add."""
    spread = jnp.var(jnp.mean(draws, axis=0), axis=0) - jnp.mean(jnp.var(draws, axis=0, ddof=1), axis=0) / len(draws)
    return (spread.sum(axis=-1) if kind == CATEGORICAL else spread).ravel()


def _unit_kl(site: Site) -> Float[Array, "batch ..."] | None:
    """In closed form; None without one, and where the prior depends on what is drawn later."""
    if site.posterior is None or site.deferred is not None:
        return None
    return site.posterior.kl_of_each(site.prior)


def gaussian_kl(draws: Float[Array, "draws *of"]) -> Float[Array, "*of"]:
    """KL(N(m, v) || N(0, 1)) by draws of the first, nats; without bias, since both the mean of m^2 and that of log v
    are known (log v is too low by log(n/2) - digamma(n/2), n = draws - 1)."""
    count = len(draws)
    mean, variance = jnp.mean(draws, axis=0), jnp.var(draws, axis=0, ddof=1)
    free = (count - 1) / 2
    log_variance = jnp.log(variance) - (digamma(free) - np.log(free))
    return 0.5 * (mean**2 - variance / count + variance - 1.0 - log_variance)


def unit_costs(kl: dict[str, Any]) -> str:
    """An SVG of costs by rank, a line for each latent, or for several together where they are many."""
    groups, lines = together(kl), []
    for index, (label, some) in enumerate(groups.items()):
        costs = np.sort(np.concatenate([np.asarray(kl[name], np.float64) for name in some]))[::-1]
        share = 100.0 * (np.arange(len(costs)) + 0.5) / len(costs)
        lines.append(Line(f"{label} ({len(costs):,})", color(index, len(groups)), share, costs))
    finite = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    # Costs estimated from draws may all be below 0, or at it.
    limits = None
    if len(finite):
        low, high = min(0.0, 1.05 * float(finite.min())), max(0.0, 1.05 * float(finite.max()))
        limits = (low, high) if low < high else (0.0, 1.0)
    title = f"KL per unit of {lines[0].label}" if len(lines) == 1 else "KL per unit"
    return draw_panel(title, "nats", lines, limits, axis="% of the units, the dearest first")


def _interpolations(model, params, codes: Codes, images, levels, seed) -> np.ndarray:
    pairs = even_rows(len(images), 2 * ROWS)
    first, second = pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :][: len(pairs) // 2]
    if not len(first):  # a single image is its own other
        first = second = pairs
    ends = [jax.tree.map(lambda leaf, rows=rows: leaf[rows], codes.drawn) for rows in (first, second)]
    kinds = {site.name: site.kind for site in model.mask_sites}
    random = np.random.default_rng(seed)
    turns = {name: _turns(latent, kinds.get(name), random) for name, latent in ends[0].items()}
    shares = np.linspace(0.0, 1.0, STEPS)
    columns = [images[first]]
    for share in shares:
        between = {name: _between(start, ends[1][name], turns[name], float(share)) for name, start in ends[0].items()}
        columns.append(np.asarray(_decoded(model, params, between)))
    columns.append(images[second])
    labels = ["input", *(f"{share:.2g}" for share in shares), "input"]
    return labeled_rows(np.stack([column.astype(np.float64) for column in columns], axis=1), labels, levels=levels)


def _turns(latent: Masked, kind: Any, random: np.random.Generator) -> np.ndarray | None:
    """When each mask changes over, in (0, 1]; a one-hot mask at once in all its alternatives."""
    if latent.mask is None:
        return None
    shape = latent.mask.shape
    return 1.0 - random.random((*shape[:-1], 1) if kind == CATEGORICAL else shape)


def _between(start: Masked, end: Masked, turn: np.ndarray | None, share: float) -> Masked:
    """A latent on the way: masks of the one or the other, and with each the value of the image that it is of, or one
    on the way where both have it."""
    if turn is None:
        if not np.issubdtype(start.value.dtype, np.floating):  # given with the image, such as a label
            return start if share < 0.5 else end
        return Masked((1 - share) * start.value + share * end.value)
    over = share >= turn
    mask = np.where(over, end.mask, start.mask)
    both = start.mask == end.mask
    if turn.shape != mask.shape:
        both = both.all(axis=-1, keepdims=True)
    value = np.where(
        both, (1 - share) * start.value + share * end.value, np.where(over, end.value, start.value)
    ).astype(start.value.dtype)
    return Masked(value, mask)


def _traversals(model, params, codes: Codes, images, levels) -> np.ndarray:
    name = next(latent for latent in model.latents if latent in codes.activity)
    kinds = {site.name: site.kind for site in model.mask_sites}
    rest = jax.tree.map(jnp.float32, {other: 0.0 for other in model.latents if other != name})
    units = np.argsort(-codes.activity[name], kind="stable")[:ROWS]
    rows = []
    for row, unit in enumerate(units):
        at = row % len(images)
        one = jax.tree.map(lambda leaf, at=at: leaf[at : at + 1], codes.drawn)
        code, labels = _traversed(one[name], int(unit), kinds.get(name), codes.priors.get(name))
        given = {key: _repeated(of, len(labels)) for key, of in one.items() if key not in codes.activity}
        means = _below(model, params, {**given, name: code}, rest, len(labels))
        rows.append(np.concatenate([images[at : at + 1], np.asarray(means)]).astype(np.float64))
    return labeled_rows(np.stack(rows), ["input", *labels], levels=levels)


def _traversed(latent: Masked, unit: int, kind: Any, prior: Any) -> tuple[Masked, list[str]]:
    """A latent of one image with one of its units at several values or alternatives, and these in words."""
    if kind is None:
        steps = np.linspace(-REACH, REACH, STEPS)
        code = _repeated(latent, STEPS)
        mean, scale = (np.asarray(of).ravel()[unit] for of in prior)
        code.value.reshape(STEPS, -1)[:, unit] = mean + steps * scale
        return code, [f"{step:g}" for step in steps]
    categories = latent.mask.shape[-1] if kind == CATEGORICAL else 2
    shown = even_rows(categories, STEPS)
    code = _repeated(latent, len(shown))
    if kind == CATEGORICAL:
        code.mask.reshape(len(shown), -1, categories)[:, unit] = np.eye(categories)[shown]
        return code, [str(category + 1) for category in shown]
    code.mask.reshape(2, -1)[:, unit] = shown
    return code, ["closed", "open"]


def _repeated(latent: Masked, count: int) -> Masked:
    return jax.tree.map(lambda leaf: np.repeat(leaf, count, axis=0), latent)


@partial(jax.jit, static_argnums=0)
def _decoded(model: Model, params: Params, latents: Latents) -> Float[Array, "rows height width channels"]:
    return model.decode(params, latents).mean


@partial(jax.jit, static_argnums=(0, 4))
def _below(
    model: Model, params: Params, given: Latents, temperatures: dict[str, Float[Array, ""]], count: int
) -> Float[Array, "columns height width channels"]:
    """The likelihood's mean with some latents given, the others at these temperatures of their priors."""
    return model.generate(params, jax.random.key(0), count, given=given, temperatures=temperatures)[1].mean
