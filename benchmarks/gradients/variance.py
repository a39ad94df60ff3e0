"""Bias, variance and price of gradient estimators on frozen snapshots of a VAE whose latents are masks.

One linear layer on static MNIST after the RELAX protocol (batch 24), trained with rloo; at each of `--snapshots` the
model stays as it is and the gradient of one fixed batch is drawn for 1024 keys: in the mask logits of each image, where
estimators differ and nothing else does, and in the encoder's parameters, which training moves (they sum over images
and take in the values of CTC latents). An estimator of more than 16 rewards is drawn less often, so that it takes
`--rewards` in all, but at least 64 times. The exact gradient is that of enumeration for the small latents, else the
mean over further keys of the unbiased estimator whose mean is the most precise.

A page for each of `--latent`. On two cores about twelve minutes, of which a second run of the command saves what it
compiled; small latents about four.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from benchmarks.gradients.frozen import Learner, Sampler, draw, whole_gradient
from benchmarks.gradients.plot import plot
from benchmarks.gradients.statistics import bias, direction, draw_cosine, projection, ratio_to_rloo
from benchmarks.gradients.variants import Variant, variants
from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import RESULTS, parser, write
from benchmarks.harness.snapshots import BINARIZATION, LATENTS, WORDS, batch_of, configuration, frozen_batch, parameters
from benchmarks.harness.timing import ratio, take_turns
from benchmarks.harness.trainer import Trainer
from ctc_jax import gradients
from ctc_jax.data import Batch

# Of so small a model the time is that of its dispatch.
UNTIMED = ("small_bernoulli", "small_categorical", "small_ctc")
PLAIN = "rloo-2"
BLOCKS, LEAST = 32, 64
MEASURED, REFERENCE, PILOT = 1, 2, 3  # seeds


class Candidate(NamedTuple):
    """An estimator with its options.

    Attributes:
      name: the registry's, with the number of samples where it takes some.
      estimator: with its options.
      rewards: it takes for an example.
      sampler: of its gradient.
      learner: of what it learns.
    """

    name: str
    estimator: gradients.AbstractEstimator
    rewards: int
    sampler: Sampler
    learner: Learner


def candidates(
    trainer: Trainer, most_rewards: int, names: Sequence[str] = (), hold_values: bool = False
) -> list[Candidate]:
    """Every estimator of the registry that serves the model and takes no more rewards than that, and `rloo`.

    Args:
      trainer: of the model.
      most_rewards: of an example.
      names: of the registry; empty is all.
      hold_values: every draw has the same values.
    """
    model, options = trainer.experiment.model, trainer.config.estimator
    chosen = variants(model, most_rewards=most_rewards, names=["rloo", *names] if names else [], options=options)
    # Leave-one-out with as many rewards as each other: those of one reward are compared with two.
    compared = {one.rewards for one in chosen if one.name != "enumerate"} - {1}
    of_rloo = {one.rewards for one in chosen if one.name == "rloo"}
    chosen += [
        Variant(f"rloo-{rewards}", "rloo", gradients.RLOO(samples=rewards), rewards)
        for rewards in sorted(compared - of_rloo)
    ]
    found, draw_one = [], partial(draw, values_key=jax.random.key(0) if hold_values else None)
    for one in chosen:
        sampler, learner = Sampler(model, one.estimator, draw_one), Learner(model, one.estimator)
        found.append(Candidate(one.label, one.estimator, one.rewards, sampler, learner))
    return found


def keys_for(rewards: int, keys: int, budget: int) -> int:
    """Draws of an estimator: `keys`, or as many as `budget` rewards allow; a multiple of the blocks."""
    return BLOCKS * math.ceil(max(min(keys, budget // rewards), min(keys, LEAST)) / BLOCKS)


def reference(candidates: Sequence[Candidate], params, batch: Batch, keys: int, budget: int):
    """The unbiased estimator whose mean is the most precise in the logits: its name, keys, and block means.

    One row where it is exact: its draws agree.
    """
    pilots = {one.name: one for one in candidates if one.estimator.unbiased and not one.estimator.learned}
    counts = {name: keys_for(one.rewards, 4 * keys, 4 * budget) for name, one in pilots.items()}
    variances = {
        name: one.sampler(params, batch, seed=PILOT, blocks=2, size=8)["logits"].variance
        for name, one in pilots.items()
    }
    best = min(pilots.values(), key=lambda one: variances[one.name] / counts[one.name])
    count = counts[best.name]
    draws = best.sampler(params, batch, seed=REFERENCE, blocks=BLOCKS, size=count // BLOCKS)
    exact = variances[best.name] < 1e-9 * np.mean(draws["logits"].mean ** 2)
    rows = {part: found.mean[None] if exact else found.means for part, found in draws.items()}
    return best.name, (1 if exact else count), rows


def times(candidates: Sequence[Candidate], all_params, batch: Batch, rounds: int, seconds: float):
    """Seconds of one gradient in all parameters, candidates in turns."""

    def work(one):
        compiled = whole_gradient(one.sampler.model, one.sampler.estimator)
        params, key = all_params[one.name], jax.random.key(0)

        def repeat(count):
            for _ in range(count):
                found = compiled(params, key, batch)
            jax.block_until_ready(found)

        return repeat

    return take_turns({one.name: work(one) for one in candidates}, rounds=rounds, seconds=seconds)


def rows_of(candidates, all_params, batch, exact, keys: int, budget: int) -> tuple[list[dict], dict]:
    """A row for each candidate without its times, and variances by name and part of the gradient."""
    centers = {part: means.mean(axis=0, dtype=np.float64) for part, means in exact.items()}
    rows, variances = [], {}
    for one in candidates:
        count = keys_for(one.rewards, keys, budget)
        draws = one.sampler(
            all_params[one.name], batch, seed=MEASURED, blocks=BLOCKS, size=count // BLOCKS, reference=centers
        )
        row = {"estimator": one.name, "unbiased": "yes" if one.estimator.unbiased else "no", "rewards": one.rewards}
        row["keys"] = count
        for part, found in draws.items():
            measured = bias(found.means, exact[part])
            row[f"{part} relative bias"] = measured.relative
            row[f"{part} bias limit"] = measured.limit
            row[f"{part} bias z"] = measured.z
            row[f"{part} length"] = projection(found.means, exact[part])
            row[f"{part} direction"] = direction(found.means, exact[part])
            row[f"{part} cosine"] = draw_cosine(found, exact[part])
            row[f"{part} variance"] = found.variance
            variances[one.name, part] = found.variance
        rows.append(row)
    for row in rows:
        for part in exact:
            rloo = [one for one in candidates if isinstance(one.estimator, gradients.RLOO)]
            of_rloo = {one.rewards: variances[one.name, part] for one in rloo}
            row[f"{part} ratio"] = ratio_to_rloo(variances[row["estimator"], part], row["rewards"], of_rloo)
    return rows, variances


def measure(latent: str, arguments) -> tuple[dict[int, list[dict]], dict[int, str]]:
    """Rows of each snapshot, and what its exact gradient is."""
    trainer = Trainer(configuration(latent, arguments.learning_rate, {"data.name": arguments.data}))
    found = candidates(trainer, arguments.most_rewards, arguments.estimators, arguments.hold_values)

    def batches(step, first):
        return batch_of(trainer.experiment, first + step)

    batch, tables, references, relative = frozen_batch(trainer.experiment), {}, {}, {}
    for snapshot in arguments.snapshots:
        trainer.advance((snapshot - trainer.step) // trainer.count)
        params = parameters(trainer)
        all_params = {
            one.name: one.learner(params, partial(batches, first=snapshot), steps=arguments.learn) for one in found
        }
        name, count, exact = reference(found, params, batch, arguments.keys, arguments.rewards)
        references[snapshot] = f"{name}, exact" if count == 1 else f"{name}, {count:,} further keys"
        rows, variances = rows_of(found, all_params, batch, exact, arguments.keys, arguments.rewards)
        if not relative and latent not in UNTIMED:
            seconds = times(found, all_params, batch, arguments.rounds, arguments.turn_seconds)
            relative = {one.name: ratio(seconds[one.name], seconds[PLAIN]).median for one in found}
        for row in rows:
            name = row["estimator"]
            row["time"] = relative.get(name, math.nan)
            for part in exact:
                row[f"{part} variance x time"] = variances[name, part] / variances[PLAIN, part] * row["time"]
        tables[snapshot] = rows
        print(f"{latent}, {snapshot:,} steps: {len(rows)} estimators, {references[snapshot]}", flush=True)
    return tables, references


# Columns of the page: what a row has it from.
COLUMNS = {
    "estimator": "estimator",
    "unbiased": "unbiased",
    "rewards": "rewards",
    "keys": "keys",
    "relative bias": "logits relative bias",
    "its limit": "logits bias limit",
    "z": "logits bias z",
    "length": "logits length",
    "cosine of the mean": "logits direction",
    "cosine of a draw": "logits cosine",
    "variance": "logits variance",
    "variance to rloo's": "logits ratio",
    "time": "time",
    "variance x time": "logits variance x time",
    "encoder: relative bias": "encoder relative bias",
    "encoder: z": "encoder bias z",
    "encoder: cosine of a draw": "encoder cosine",
    "encoder: variance to rloo's": "encoder ratio",
    "encoder: variance x time": "encoder variance x time",
}


def main() -> None:
    """Trains, freezes, measures."""
    flags = parser(__doc__, "gradient_variance")
    flags.set_defaults(output=None)
    flags.add_argument("--latent", choices=list(LATENTS), default="ctc")
    flags.add_argument("--data", choices=list(BINARIZATION), default="static_mnist")
    flags.add_argument("--snapshots", type=int, nargs="+", default=[0, 1_000, 10_000], help="steps, ascending")
    flags.add_argument("--estimators", nargs="+", default=[], help="names of the registry; rloo is always there")
    flags.add_argument("--keys", type=int, default=1024, help="draws of a gradient")
    flags.add_argument("--rewards", type=int, default=16 * 1024, help="an estimator may take in all its draws")
    flags.add_argument("--most_rewards", type=int, default=256, help="an estimator may take in one draw")
    flags.add_argument("--learn", type=int, default=1_000, help="steps in which what is learned is, at each snapshot")
    flags.add_argument("--learning_rate", type=float, default=1e-3, help="of the run; the paper's is near 1e-4")
    flags.add_argument("--hold_values", action="store_true", help="the same values of CTC latents in every draw")
    flags.add_argument("--rounds", type=int, default=5)
    flags.add_argument("--turn_seconds", type=float, default=0.2)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    latent = arguments.latent
    output = arguments.output or RESULTS / f"gradient_variance_{latent}{'_held' * arguments.hold_values}.json"
    tables, references = measure(latent, arguments)
    title = f"{latent.replace('_', ' ')} latents: {WORDS[latent]}{', the values held' * arguments.hold_values}"
    shown = {
        f"{snapshot:,} steps; the exact gradient: {references[snapshot]}": [
            {name: row[column] for name, column in COLUMNS.items()} for row in rows
        ]
        for snapshot, rows in tables.items()
    }
    picture = output.with_suffix(".png")
    plot(title, tables, picture)
    notes = [
        "Of the gradient in the mask logits of each image, unless it says encoder: relative bias |E g - exact| / "
        "|exact|, debiased for the noise of both means; its limit, at two standard errors of its square; z, its square "
        "in standard errors (|z| of an unbiased estimator is about 1, above 4 is a bias); length, E g along the exact "
        "gradient, 1 if unbiased; cosine to the exact gradient, of E g and of a single draw; variance of a component, "
        "and relative to that of leave-one-out with as many rewards (two draws of an estimator of one reward are "
        "averaged); time of one gradient in all parameters, decoder and learned parts included, relative to rloo-2; "
        "variance x time relative to rloo-2's.",
        f"MNIST, {BINARIZATION[arguments.data]} binarization, batch of 24, trained with rloo-2 and Adam at "
        f"{arguments.learning_rate:g}. What an estimator learns was "
        f"trained for {arguments.learn:,} steps on training batches while the model stayed as it is. Temperatures are "
        "1. The exact gradient is of the same model and batch, by other keys; rows share theirs, and so their errors. "
        + (
            "All draws have the same values, so that the variance is the masks' alone."
            if arguments.hold_values
            else "Where there are values, each draw has its own, as in training: their variance is in every row."
        ),
    ]
    write(output, f"Gradient estimators on frozen models: {title}", shown, [*notes, f"![{latent}]({picture.name})"])


if __name__ == "__main__":
    main()
