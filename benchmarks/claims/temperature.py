"""Training with relaxed masks whose temperature falls. Part of source_claims.py."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.pictures import save_figure
from benchmarks.harness.snapshots import COLORS, configuration, first_images, frozen_batch
from ctc_jax import training
from ctc_jax.evaluation.bounds import evaluate_elbo
from ctc_jax.models import Schedule


def temperature(arguments) -> list[dict]:
    """Rows: means over seeds of one estimator and one schedule at some steps of training."""
    rows, steps = [], arguments.temperature_steps
    for name in ("gumbel_softmax", "st_gumbel"):
        for start, end in arguments.schedules:
            config = configuration("categorical", arguments.learning_rate, {"data.name": arguments.data})
            config.estimator.name = name
            config.estimator[name].update(
                temperature=start, temperature_end=end, temperature_steps=0 if start == end else steps
            )
            rows += curve(config, name, start, end, arguments)
    return rows


def curve(config, name: str, start: float, end: float, arguments) -> list[dict]:
    """Rows of one setting; seeds are trained side by side and share their batches."""
    experiment = training.build(config)
    model, batch = experiment.model, frozen_batch(experiment)
    held = first_images(experiment.dataset.validation, arguments.images)

    def with_seed(seed):
        return dataclasses.replace(experiment.step, seed=seed)

    seeds = jnp.arange(arguments.seeds)
    states = jax.jit(jax.vmap(lambda seed: with_seed(seed).init()))(seeds)
    advance = jax.jit(
        jax.vmap(lambda seed, state, batches: with_seed(seed)(state, batches), in_axes=(0, 0, None)), donate_argnums=1
    )

    @jax.jit
    @jax.vmap
    def spread(params, step):
        """Squared length of the mean gradient in the encoder's output layer, less its noise; total variance."""

        def gradient(key):
            def expected(layer):
                moved = {**params, "posterior": layer}
                return jnp.mean(model.bound(moved, key, batch, schedule=Schedule(step)).log_likelihood)

            return jax.flatten_util.ravel_pytree(jax.grad(expected)(params["posterior"]))[0]

        drawn = jax.lax.map(gradient, jax.random.split(jax.random.key(1), arguments.temperature_keys))
        variance = jnp.sum(jnp.var(drawn, axis=0, ddof=1))
        return jnp.sum(jnp.mean(drawn, axis=0) ** 2) - variance / arguments.temperature_keys, variance

    rows, norms, every = [], [], max(1, arguments.temperature_steps // 10)
    for step in range(arguments.temperature_steps + 1):
        if step % every == 0:
            squared, variance = (np.asarray(values) for values in spread(states.params, states.step))
            bounds = [
                evaluate_elbo(
                    model, jax.tree.map(lambda leaf, i=i: leaf[i], states.params), held, batch_size=100, seed=0
                )["elbo_nats"]
                for i in range(arguments.seeds)
            ]
            rows.append(
                {
                    "estimator": name,
                    "temperature": f"{start:g}" if start == end else f"{start:g} to {end:g}",
                    "step": step,
                    "temperature now": float(start * (end / start) ** (step / arguments.temperature_steps)),
                    "elbo_nats": float(np.mean(bounds)),
                    "deviation over seeds_nats": float(np.std(bounds, ddof=1)) if len(bounds) > 1 else math.nan,
                    "gradient norm": float(np.mean(norms)) if norms else math.nan,
                    "largest gradient norm": float(np.max(norms)) if norms else math.nan,
                    "variance": float(variance.mean()),
                    "noise to signal": float(variance.mean() / squared.mean()) if squared.mean() > 0 else math.nan,
                }
            )
            print(rows[-1], flush=True)
            norms = []
        if step < arguments.temperature_steps:
            states, metrics = advance(seeds, states, experiment.stream(step, 1))
            norms.append(np.asarray(metrics["gradient_norm"]))
    return rows


def plot_temperature(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Bound, gradient norm and variance over steps."""
    from matplotlib import pyplot

    columns = ("elbo_nats", "gradient norm", "variance")
    figure, panels = pyplot.subplots(1, len(columns), figsize=(13, 3.8), layout="constrained")
    schedules = list(dict.fromkeys(row["temperature"] for row in rows))
    for panel, column in zip(panels, columns, strict=True):
        for style, name in zip(("-", "--"), ("gumbel_softmax", "st_gumbel"), strict=True):
            for color, schedule in zip(COLORS, schedules, strict=False):
                chosen = [row for row in rows if row["estimator"] == name and row["temperature"] == schedule]
                x, y = [row["step"] for row in chosen], np.array([row[column] for row in chosen])
                panel.plot(x, y, style, color=color, label=f"{name}, temperature {schedule}")
        panel.set_title(
            {"elbo_nats": "bound at sampled masks, nats", "variance": "gradient variance"}.get(column, column)
        )
        panel.set_xlabel("step")
        panel.grid(color="#dddddd", linewidth=0.6)
        if column != "elbo_nats":
            panel.set_yscale("log")
    # The first bounds, of an untrained model, would flatten all others.
    late = [row["elbo_nats"] for row in rows if row["step"] > 0]
    panels[0].set_ylim(min(late) - 5.0, max(late) + 5.0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    save_figure(figure, path)
    pyplot.close(figure)
