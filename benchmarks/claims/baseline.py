"""The source's baseline against none, its bias, and an unbiased form. Part of source_claims.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gradients.frozen import Learner, Sampler
from benchmarks.gradients.variance import Candidate, reference, rows_of
from benchmarks.harness.pictures import save_figure
from benchmarks.harness.snapshots import COLORS, batch_of, configuration, frozen_batch, parameters
from benchmarks.harness.trainer import Trainer
from ctc_jax import gradients

NO_BASELINE = "no baseline"
# Rules compared, by the estimator that each is; the last one is exact.
RULES = {
    NO_BASELINE: "source_baseline",
    "as published": "source_baseline",
    "unbiased form, 2 samples": "source_baseline_unbiased",
    "rloo, 2 samples": "rloo",
    "enumeration": "enumerate",
}


def baseline(arguments) -> list[dict]:
    """Rows: a rule on a snapshot; without a baseline is the published rule at a baseline of 0."""
    trainer = Trainer(configuration("small_ctc", arguments.learning_rate, {"data.name": arguments.data}))
    experiment = trainer.experiment
    model, batch = experiment.model, frozen_batch(experiment)

    def candidate(label, name):
        estimator = gradients.SECTION.part(experiment.config.estimator, name)
        rewards = estimator.rewards_in_all(model.mask_sites)
        return Candidate(label, estimator, rewards, Sampler(model, estimator), Learner(model, estimator))

    rules = [candidate(label, name) for label, name in RULES.items()]
    exact_rule, found, budget = rules[-1], [], 64 * arguments.keys
    for snapshot in arguments.baseline_steps:
        trainer.advance((snapshot - trainer.step) // trainer.count)
        params = parameters(trainer)

        def batches(step, first=snapshot):
            return batch_of(experiment, first + step)

        # A baseline starts at 0, and so does its average.
        steps = {one.name: 0 if one.name == NO_BASELINE else arguments.learn for one in rules}
        all_params = {one.name: one.learner(params, batches, steps=steps[one.name]) for one in rules}
        _, _, exact = reference([exact_rule], params, batch, arguments.keys, budget)
        rows, variances = rows_of(rules, all_params, batch, exact, arguments.keys, budget)
        for row in rows:
            shown = {"steps": snapshot, "rule": row["estimator"]}
            for part in ("values", "encoder"):
                relative = variances[row["estimator"], part] / variances[NO_BASELINE, part]
                shown[f"{part}: variance to that without"] = relative
            for part in ("values", "logits", "encoder"):
                shown[f"{part}: relative bias"] = row[f"{part} relative bias"]
                shown[f"{part}: z"] = row[f"{part} bias z"]
            found.append({**shown, "encoder: cosine of a draw": row["encoder cosine"]})
    return found


def plot_baseline(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Bars: variance and bias of each rule, a snapshot a color; a bias not told from noise is hollow."""
    from matplotlib import pyplot

    # Beside each column, where the figure stands that tells it from noise.
    columns = {
        "values: variance to that without": "",
        "values: relative bias": "values: z",
        "encoder: relative bias": "encoder: z",
    }
    figure, panels = pyplot.subplots(1, len(columns), figsize=(11.5, 3.2), layout="constrained", sharey=True)
    steps, names = sorted({row["steps"] for row in rows}), list(RULES)
    for panel, (column, known_by) in zip(panels, columns.items(), strict=True):
        for offset, (color, step) in enumerate(zip(COLORS, steps, strict=False)):
            for row in rows:
                if row["steps"] == step:
                    height, hidden = names.index(row["rule"]) + 0.25 * (offset - 1), row.get(known_by, 9.0) < 4.0
                    panel.barh(height, row[column], height=0.2, edgecolor=color, color="none" if hidden else color)
        panel.set_title(column, fontsize=10)
        panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    handles = [
        pyplot.Rectangle((0, 0), 1, 1, color=color, label=f"{step:,} steps")
        for color, step in zip(COLORS, steps, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(steps), frameon=False)
    save_figure(figure, path)
    pyplot.close(figure)
