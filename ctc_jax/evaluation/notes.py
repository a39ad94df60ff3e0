"""What numbers of an evaluation say of a model that a reader should not miss. Tests: tests/evaluation/test_notes.py."""

from collections.abc import Mapping
from typing import Any

from ctc_jax.evaluation.calibration import CERTAIN
from ctc_jax.evaluation.masks import THRESHOLD
from ctc_jax.reporting.latent_groups import by_resolution

# Masks have collapsed below these: mean entropy, nats; share of used ones; cost of all those of a layer, nats an image.
# A layer that costs less than the last is hardly used, whatever it is made of.
SAME, UNUSED, FREE = 0.01, 0.01, 0.1

# Ranks that are uneven but spread as even ones by this much tell neither of a narrow q nor of a wide one.
SHAPE = 0.1

Figures = Mapping[str, Any]  # numbers, and words such as the range of several


def notes(figures: Figures) -> list[str]:
    """A sentence for each latent or resolution that does nothing, and for each whose posterior is not calibrated."""
    return [*collapsed(figures), *unused(figures), *miscalibrated(figures)]


def collapsed(figures: Figures) -> list[str]:
    """A sentence for each latent whose masks do nothing, by what `mask_statistics` says of them."""
    prefix, found = "mask_entropy_nats/", []
    for layer in (name.removeprefix(prefix) for name in figures if name.startswith(prefix)):
        said, used, cost = (figures[f"{of}/{layer}"] for of in ("mask_entropy_nats", "masks_used", "mask_kl_nats"))
        reason = ""
        if said < SAME:
            reason = f"they are always the same (entropy {said:.2g} nats)"
        elif used < UNUSED:
            reason = f"{used:.1%} of them say more than {THRESHOLD} nats of the image"
        elif cost < FREE:
            reason = f"all together they cost {cost:.2g} nats an image, and so say no more than the latents above them"
        found += [f"masks of {layer} have collapsed: {reason}"] if reason else []
    return found


def unused(figures: Figures) -> list[str]:
    """A sentence for each resolution whose latents, all together, cost next to nothing; masks have their own."""
    costs = {name.removeprefix("kl_nats/"): cost for name, cost in figures.items() if name.startswith("kl_nats/")}
    found = []
    for resolution, layers in by_resolution(costs).items():
        cost = sum(costs[layer] for layer in layers)
        if cost < FREE and not all(f"mask_entropy_nats/{layer}" in figures for layer in layers):
            which = "it costs" if layers == [resolution] else f"its {len(layers)} latents cost"
            found.append(f"{resolution} is hardly used: {which} {max(cost, 0.0):.2g} nats an image")
    return found


def miscalibrated(figures: Figures) -> list[str]:
    """A sentence for each latent whose ranks say that q is not its posterior."""
    prefix, found = "calibration_p_value/", []
    for layer in (name.removeprefix(prefix) for name in figures if name.startswith(prefix)):
        chance, spread = figures[f"{prefix}{layer}"], figures[f"rank_spread/{layer}"]
        if chance < CERTAIN:
            how = (
                "of another shape"
                if abs(spread - 1) < SHAPE
                else "too narrow or beside it"
                if spread > 1
                else "too wide"
            )
            of = layer.replace("_", " ")
            found.append(f"q is not the posterior by the ranks of {of}: p = {chance:.2g}, spread {spread:.2f}, {how}")
    return found
