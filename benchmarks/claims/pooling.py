"""The variance of sampling latents by their alternatives, with and without SOM pooling. Part of source_claims.py."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.gradients.frozen import Sampler
from benchmarks.gradients.statistics import noise_to_signal
from benchmarks.harness.pictures import save_figure
from benchmarks.harness.snapshots import COLORS, configuration, first_images, frozen_batch, parameters
from benchmarks.harness.trainer import Trainer
from ctc_jax.data import Batch
from ctc_jax.evaluation.bounds import evaluate_elbo
from ctc_jax.models import Model

PLACES = 4


def in_outputs(model: Model, estimator, params, key, batch: Batch) -> dict[str, jax.Array]:
    """The gradient in the encoder's last bias, below any pooling, and in the decoder's row for each alternative."""
    ready = dataclasses.replace(model, estimator=estimator)

    def expected(bias, rows):
        moved = {
            **params,
            "posterior": {**params["posterior"], "bias": bias},
            "first": {**params["first"], "kernel": rows},
        }
        return jnp.mean(ready.bound(moved, key, batch).log_likelihood)

    bias, rows = jax.grad(expected, argnums=(0, 1))(params["posterior"]["bias"], params["first"]["kernel"])
    logits, locations, _ = jnp.split(bias, 3)
    return {"logits": logits, "locations": locations, "decoder rows": rows.ravel()}


def pooling(arguments) -> list[dict]:
    """Rows: a number of alternatives, with or without pooling, before and after some training."""
    rows = []
    for count in arguments.alternatives:
        for sigma in (0.0, arguments.sigma):
            changes = {
                "model.latents": PLACES,
                "model.mask_vae.categories": count,
                "model.mask_vae.som_sigma": sigma,
                "data.name": arguments.data,
            }
            # A hidden layer, lest the encoder have 784 times as many parameters as outputs.
            changes |= {"model.blocks": 1, "model.width": 64, "model.activation": "tanh"}
            trainer = Trainer(configuration("ctc", arguments.learning_rate, changes))
            experiment = trainer.experiment
            sampler = Sampler(experiment.model, experiment.model.estimator, in_outputs)
            held = first_images(experiment.dataset.validation, arguments.images)
            for steps in (0, arguments.pooling_steps):
                trainer.advance((steps - trainer.step) // trainer.count)
                params = parameters(trainer)
                found = sampler(
                    params, frozen_batch(experiment), seed=1, blocks=16, size=max(1, arguments.pooling_keys // 16)
                )
                row = {"K": count, "sigma": sigma, "steps": steps}
                row |= {f"noise to signal, {part}": noise_to_signal(draws) for part, draws in found.items()}
                elbo = evaluate_elbo(experiment.model, params, held, batch_size=100, seed=0)
                rows.append({**row, "elbo_nats": elbo["elbo_nats"], "kl_nats": elbo["kl_nats/z"]})
                print(rows[-1], flush=True)
    return rows


def plot_pooling(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Noise-to-signal ratios by K."""
    from matplotlib import pyplot

    parts = [name for name in rows[0] if name.startswith("noise to signal")]
    figure, panels = pyplot.subplots(1, len(parts), figsize=(4.2 * len(parts), 3.8), layout="constrained", sharey=True)
    for panel, part in zip(panels, parts, strict=True):
        for color, sigma in zip(COLORS, sorted({row["sigma"] for row in rows}), strict=False):
            for style, steps in zip(("o--", "o-"), sorted({row["steps"] for row in rows}), strict=False):
                chosen = [row for row in rows if row["sigma"] == sigma and row["steps"] == steps]
                label = f"{'SOM, sigma ' + format(sigma, 'g') if sigma else 'no pooling'}; {steps:,} steps"
                panel.plot([row["K"] for row in chosen], [row[part] for row in chosen], style, color=color, label=label)
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xlabel("alternatives K")
        panel.set_title(part.removeprefix("noise to signal, "))
        panel.grid(color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel("variance of one gradient / squared length")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    save_figure(figure, path)
    pyplot.close(figure)
