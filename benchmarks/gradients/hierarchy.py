"""Variance of gradients through masks, by level, as a hierarchy of pooling grows from one level to four.

For each depth a hierarchy is trained with reinmax; at each of `--snapshots` it stays as it is, and every estimator that
serves that depth draws the gradient of the ELBO of one fixed batch for 256 keys: in the layer that makes a level's mask
logits, and on the whole recognition side. Images of `shapes` are 16 x 16, the smallest that can be halved four times,
and made here; --data cifar10 takes three to four times as long. Fifteen minutes on one core, half of it compilation.

--exact has a hierarchy of two levels whose masks are enumerated, given the values drawn, and several settings of an
estimator beside one another: two minutes, most of it compilation. Tests: tests/benchmarks/gradients/test_hierarchy.py.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from benchmarks.gradients import tiny
from benchmarks.gradients.hierarchy_candidates import Candidate, candidates, reference, settings
from benchmarks.gradients.hierarchy_plot import plot
from benchmarks.gradients.statistics import (
    Draws,
    bias,
    direction,
    draw_cosine,
    noise_to_signal,
    projection,
    squared_length,
)
from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.snapshots import frozen_batch, parameters
from benchmarks.harness.timing import median_ms, take_turns
from benchmarks.harness.trainer import Trainer
from configs import cifar_hierarchy, hierarchy
from ctc_jax.data import Batch

SHAPES = {"data.name": "shapes", "likelihood.name": "ctc", "likelihood.ctc.components": 5, "train.clip_norm": 1_000.0}
CONFIGS = {"shapes": lambda: hierarchy.experiment(SHAPES, ""), "cifar10": cifar_hierarchy.get_config}
TRAINED_WITH = "reinmax"
ESTIMATORS = ("reinmax", "straight_through", "st_gumbel", "gumbel_rao", "rloo", "double_cv")
BLOCKS = 16
MEASURED, REFERENCE, TIMED = 1, 2, 3  # seeds


def figures(draws: Draws, reference: Float[np.ndarray, "blocks components"]) -> dict[str, float]:
    """What is said of one part of a gradient.

    Args:
      draws: of an estimator.
      reference: block means of an unbiased one, other draws; or one row that is exact.
    """
    length, found = squared_length(draws.means), bias(draws.means, reference)
    return {
        "squared mean": length if length > 0 else math.nan,
        "variance": draws.variance * draws.means.shape[1],
        "noise to signal": noise_to_signal(draws),
        "relative bias": found.relative,
        "its limit": found.limit,
        "z": found.z,
        "along the gradient": projection(draws.means, reference),
        "cosine of the mean": direction(draws.means, reference),
        "cosine of a draw": draw_cosine(draws, reference),
    }


def measure(
    found: Sequence[Candidate], exact: Candidate, params: Any, batch: Batch, keys: int, reference_keys: int
) -> dict[str, dict[str, dict]]:
    """Rows of a model as it is, by part and estimator, without times; one reference key is an exact reference's."""
    blocks = min(BLOCKS, reference_keys)
    known = exact(params, batch, seed=REFERENCE, blocks=blocks, size=math.ceil(reference_keys / blocks))
    means = {part: draws.mean for part, draws in known.items()}
    rows: dict[str, dict[str, dict]] = {part: {} for part in known}
    for one in found:
        size = math.ceil(keys / BLOCKS)
        drawn = one(params, batch, seed=MEASURED, blocks=BLOCKS, size=size, reference=means)
        for part, draws in drawn.items():
            facts = {"estimator": one.name, "unbiased": "yes" if one.unbiased else "no", "rewards": one.rewards}
            rows[part][one.name] = {**facts, "keys": draws.count, **figures(draws, known[part].means)}
    for of_part in rows.values():
        plain = next((row["variance"] for name, row in of_part.items() if name.startswith("rloo")), None)
        for row in of_part.values() if plain else ():
            row["variance to rloo's"] = row["variance"] / plain
    return rows


def milliseconds(found: Sequence[Candidate], params: Any, batch: Batch, rounds: int, seconds: float):
    """Of one gradient on the recognition side, by estimator, taken in turns."""

    def work(one):
        return lambda count: one(params, batch, seed=TIMED, blocks=1, size=count)

    times = take_turns({one.name: work(one) for one in found}, rounds=rounds, seconds=seconds)
    return {name: median_ms(of) for name, of in times.items()}


def configuration(levels: int, arguments: argparse.Namespace):
    """The config of a depth."""
    config = CONFIGS[arguments.data]()
    config.update_from_flattened_dict(
        {
            "model.ctc_hierarchy.levels": levels,
            "model.ctc_hierarchy.families": arguments.family,
            "model.width": arguments.width,
            "model.ctc_hierarchy.channels": arguments.channels,
            "model.blocks": 1,
            "model.latents": 8,
            "model.features": 8,
            "train.batch_size": arguments.batch_size,
            "train.schedule": "constant",
            "train.ema_decay": 0.0,
            "estimator.name": TRAINED_WITH,
            **({**tiny.images(), **tiny.SIZES} if arguments.exact else {}),
        }
    )
    return config


def depth(levels: int, arguments: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    """Rows of a depth: a part, an estimator, a snapshot each; and one of the snapshot itself, for each."""
    trainer = Trainer(configuration(levels, arguments))
    if arguments.exact:
        found, exact = settings(trainer)
    else:
        found = candidates(trainer, arguments.estimators, arguments.samples)
        exact = reference(trainer, found)
    batch = frozen_batch(trainer.experiment)
    rows, models, times = [], [], {}
    for snapshot in arguments.snapshots:
        metrics = trainer.advance((snapshot - trainer.step) // trainer.count)
        params = parameters(trainer)
        measured = measure(found, exact, params, batch, arguments.keys, arguments.reference_keys)
        times = times or milliseconds(found, params, batch, arguments.rounds, arguments.turn_seconds)
        for part, of_part in measured.items():
            for row in of_part.values():
                facts = {"snapshot": snapshot, "part": part, "levels": levels}
                rows.append({**facts, **row, "gradient_ms": times[row["estimator"]]})
        # Of the last training batches: what of the levels is in use.
        last = jax.tree.map(lambda *of: float(np.mean(of)), *metrics[-50:]) if metrics else {}
        shown = {name: value for name, value in last.items() if name == "elbo_nats" or name.startswith("kl_nats/")}
        models.append({"levels": levels, "steps": snapshot, "reference": exact.name, **shown})
        print(f"{levels} levels, {snapshot:,} steps: {len(found)} estimators", flush=True)
    return rows, models


def by_depth(rows: Sequence[Mapping[str, Any]], quantity: str) -> list[dict]:
    """A row for each estimator and part, a column for each depth, of one snapshot."""
    table: dict[tuple[str, str], dict] = {}
    for row in sorted(rows, key=lambda row: (row["part"] != "recognition", row["part"])):
        key = (row["part"], row["estimator"])
        into = table.setdefault(key, {"part": row["part"], "estimator": row["estimator"], "unbiased": row["unbiased"]})
        into[f"L = {row['levels']}"] = row[quantity]
    return list(table.values())


def main() -> None:
    """Trains, freezes, measures each depth."""
    flags = parser(__doc__, "hierarchy_gradients")
    flags.add_argument("--data", choices=list(CONFIGS), default="shapes")
    flags.add_argument("--family", choices=("ctc_pool", "ctc_relu"), default="ctc_pool")
    flags.add_argument("--levels", type=int, nargs="+", default=[1, 2, 3, 4])
    flags.add_argument("--width", type=int, default=8)
    flags.add_argument("--channels", type=int, default=4)
    flags.add_argument("--batch_size", type=int, default=16)
    flags.add_argument("--snapshots", type=int, nargs="+", default=[0, 400], help="steps, ascending")
    flags.add_argument("--estimators", nargs="+", default=list(ESTIMATORS), help="names of the registry, with rloo")
    flags.add_argument("--samples", type=int, choices=(2, 4), default=2, help="of an estimator that takes several")
    flags.add_argument("--keys", type=int, default=256, help="draws of a gradient")
    flags.add_argument("--reference_keys", type=int, default=256, help="further draws of the unbiased reference")
    flags.add_argument("--rounds", type=int, default=5)
    flags.add_argument("--turn_seconds", type=float, default=0.1)
    flags.add_argument("--exact", action="store_true", help="two levels whose masks are enumerated, values held")
    arguments = flags.parse_args()
    if arguments.exact:
        arguments.levels, arguments.reference_keys = [2], 1
        if arguments.output == flags.get_default("output"):
            arguments.output = arguments.output.with_stem("hierarchy_exact")
    limit_threads(arguments.threads)
    rows, models = [], []
    for levels in arguments.levels:
        found, known = depth(levels, arguments)
        rows, models = rows + found, models + known
    tables = {"the models": models}
    for quantity in ("variance", "noise to signal"):
        for snapshot in arguments.snapshots:
            chosen = [row for row in rows if row["snapshot"] == snapshot]
            tables[f"{quantity} by depth, {snapshot:,} steps"] = by_depth(chosen, quantity)
    for snapshot in arguments.snapshots:
        for part in sorted({row["part"] for row in rows}):
            tables[f"{part}, {snapshot:,} steps"] = [
                {name: value for name, value in row.items() if name not in ("snapshot", "part")}
                for row in rows
                if (row["snapshot"], row["part"]) == (snapshot, part)
            ]
    title = "Variance of gradients by level and depth of a hierarchy"
    notes = [of_models(arguments), of_figures(arguments)]
    if arguments.exact:
        title = "Bias and variance of gradients through two levels, by enumeration of their masks"
        tables = {name: table for name, table in tables.items() if " by depth" not in name}
    else:
        picture = arguments.output.with_suffix(".png")
        plot(rows, picture)
        notes.append(f"![variance by depth]({picture.name})")
    write(arguments.output, title, tables, notes)


def of_models(arguments: argparse.Namespace) -> str:
    """What was trained, and what of it is drawn."""
    if arguments.exact:
        what = (
            "two ctc_pool levels on shapes of 4 x 4 pixels, one unit a position: four masks of four at level 1, one at "
            "level 2. Values and top code are drawn once for each image and held, so that all variance is the masks'"
        )
    else:
        what = (
            f"{arguments.family} levels on {arguments.data}, {arguments.channels} units at a position. Every draw has "
            "its own masks, values and top code, as in training"
        )
    return (
        f"{what}. Width {arguments.width}, one block, batch {arguments.batch_size}, trained with {TRAINED_WITH}; ELBO "
        "in nats, averaged over the batch. A level is the layer of its mask logits in q, level 1 at the resolution of "
        "the image; recognition is all of q with these. `none` gives masks no gradient: what is left is the analytic "
        "KL's and the values'. Figures of the models are means over the last 50 training batches."
    )


def of_figures(arguments: argparse.Namespace) -> str:
    """What the columns are."""
    if arguments.exact:
        against = "the exact gradient, a sum over all masks of both levels given the values"
    else:
        against = (
            f"the mean of {arguments.reference_keys:,} further draws of the unbiased reference, the noise of both "
            "taken out, so that a cosine may pass 1"
        )
    return (
        "Variance is summed over components; noise to signal is its ratio to the squared length of the mean, the noise "
        "of which is taken out (a dash where noise hides it). Relative bias, its limit at two standard errors, z of "
        "its square (above 4 is a bias), the mean's length along the gradient, its cosine and that of a single draw "
        f"are against {against}. Rewards are whole models for an example: of a nested estimator (double_cv, "
        "single_flips) on two levels the square, which is why it serves two at most. Times are of one gradient on the "
        "recognition side, taken in turns."
    )


if __name__ == "__main__":
    main()
