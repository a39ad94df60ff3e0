"""What refinement buys: nats by seconds of descent, Langevin dynamics, MALA, HMC and Hamiltonian annealing from where
the recognition model starts, of a flat and of a CTC model; twenty minutes on one core, with the training of both.

Runs are made by launch.py, resumed when broken off, reused when finished. Further arguments go to launch.py.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from benchmarks.harness.finished_runs import finish
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import save_figure
from benchmarks.harness.results import parser, write
from ctc_jax import training
from ctc_jax.data import Split
from ctc_jax.evaluation import evaluate_importance
from ctc_jax.run import Run
from ctc_jax.training.warm_start import warm_started

MODELS = {"flat": "configs/mnist_annealing.py", "ctc": "configs/mnist_ctc_latents.py:cpu"}
# The step sizes tried, and the acceptance that the literature has as the best for each chain.
SIZES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
WANTED = {"mala": 0.574, "hmc": 0.651}
BRIDGES = (1, 2, 4, 8, 16, 32)
SHOWN = (1, 10, 100)


def tuned(run: Run, method: str, images: np.ndarray) -> float:
    """Of the sizes, the one whose acceptance is nearest to the best; Langevin dynamics take MALA's, which is the same
    move."""
    if method == "langevin":
        method = "mala"
    accepted = {
        size: float(run.infer(images, method=method, step_size=size, chains=2, warmup=20, draws=20).acceptance.mean())
        for size in SIZES
    }
    return min(SIZES, key=lambda size: abs(accepted[size] - WANTED[method]))


def refined(run: Run, method: str, images: np.ndarray, moves: int, **options: Any) -> dict[str, Any]:
    """Seconds of a move of one chain of one image, and the gain in log p(x, z) after each move, nats."""
    run.infer(images, method=method, warmup=0, draws=1, **options)  # compiles
    begun = time.perf_counter()
    found = run.infer(images, method=method, warmup=0, draws=moves, **options)
    seconds = (time.perf_counter() - begun) / found.log_joint.size
    gains = np.mean(found.log_joint - found.start, axis=(1, 2))
    return {"seconds": seconds, "gains": gains, "accepted": float(found.acceptance.mean()), **options}


def annealed(run: Run, split: Split, bridges: int, size: float, samples: int) -> tuple[float, float]:
    """The bound of Hamiltonian annealing that starts from the run's own Gaussian, untrained, nats, and its seconds an
    image and sample."""
    config = ml_collections.ConfigDict(run.config.to_dict())
    config.posterior.name = "annealed_hamiltonian"
    config.posterior.annealed_hamiltonian.update(bridges=bridges, step_size=size, unroll=False)
    model = training.build_model(config, run.space)
    state = training.build_step(config, model).init()
    params = warm_started(state, run.params)[0].params
    shared = {"batch_size": len(split), "seed": 0}

    def bounds() -> list[float]:
        # With one sample an image the importance bound is the ELBO.
        return [
            float(np.mean(evaluate_importance(model, params, split, samples=1, **{**shared, "seed": seed})))
            for seed in range(samples)
        ]

    evaluate_importance(model, params, split, samples=1, **shared)  # compiles
    begun = time.perf_counter()
    found = bounds()
    return float(np.mean(found)), (time.perf_counter() - begun) / (samples * len(split))


def annealing(run: Run, tuning: Split, split: Split, samples: int) -> list[dict[str, Any]]:
    """A row for each number of bridges, with the step size that is best on other images."""
    rows = []
    elbo = float(np.mean(evaluate_importance(run.model, run.params, split, samples=1, batch_size=len(split), seed=0)))
    for bridges in BRIDGES:
        size = max(SIZES, key=lambda size: annealed(run, tuning, bridges, size, 1)[0])
        bound, seconds = annealed(run, split, bridges, size, samples)
        rows.append(
            {
                "bridges": bridges,
                "step size": size,
                "time an image_ms": 1e3 * seconds,
                "gain of the bound_nats": bound - elbo,
                "gain a second_nats": (bound - elbo) / seconds,
            }
        )
    return rows


def row(method: str, curve: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one curve."""
    moves = [move for move in SHOWN if move <= len(curve["gains"])]
    return {
        "method": method,
        "step size": curve.get("step_size"),
        "accepted": curve["accepted"],
        "time a move_ms": 1e3 * curve["seconds"],
        **{f"gain after {move}_nats": float(curve["gains"][move - 1]) for move in moves},
        "gain a second in the first 10 moves_nats": float(curve["gains"][9] / (10 * curve["seconds"])),
    }


def plot(curves: Mapping[str, Mapping[str, Mapping]], bridges: Sequence[Mapping], path: Path) -> None:
    """A panel a model, and one of annealing."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(curves) + 1, figsize=(4 * len(curves) + 4, 3.6), layout="constrained")
    for panel, (name, methods) in zip(panels, curves.items(), strict=False):
        for method, curve in methods.items():
            times = 1e3 * curve["seconds"] * np.arange(1, len(curve["gains"]) + 1)
            panel.plot(times, curve["gains"], label=method)
        panel.set_title(f"{name}: gain in log p(x, z)", fontsize=10)
    panels[-1].plot(
        [row["time an image_ms"] for row in bridges], [row["gain of the bound_nats"] for row in bridges], "o-k"
    )
    panels[-1].set_title("flat: gain of annealing's bound over the ELBO", fontsize=10)
    for panel in panels:
        panel.set_xscale("log")
        panel.set_xlabel("milliseconds an image and chain")
        panel.set_ylabel("nats")
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    panels[0].legend(frameon=False, fontsize=9)
    save_figure(figure, path)
    pyplot.close(figure)


def main() -> None:
    """Trains what is not trained yet, and measures."""
    flags = parser(__doc__, "refinement")
    flags.add_argument("--images", type=int, default=100, help="of the test set")
    flags.add_argument("--moves", type=int, default=300)
    flags.add_argument("--chains", type=int, default=4)
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks", help="directory of the runs")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    curves, tables, bridges = {}, {}, []
    for name, config in MODELS.items():
        run = finish(config, arguments.workdirs, overrides)
        images = np.asarray(run.dataset.test.images[: arguments.images])
        others = np.asarray(run.dataset.validation.images[:20])
        curves[name] = {"descent": refined(run, "descent", images, arguments.moves)}
        for method in ("langevin", "mala", "hmc"):
            size = tuned(run, method, others)
            options = {"step_size": size, "chains": arguments.chains}
            curves[name][method] = refined(run, method, images, arguments.moves, **options)
        tables[f"{name}: {config}"] = [row(method, curve) for method, curve in curves[name].items()]
        if name == "flat":
            few = [Split(part, np.zeros(len(part), np.int32)) for part in (others, images)]
            bridges = annealing(run, *few, arguments.chains)
            tables["Hamiltonian annealing of the flat model"] = bridges
    picture = arguments.output.with_suffix(".png")
    plot(curves, bridges, picture)
    note = (
        f"{arguments.images} test images; gains are means over images and chains. Descent starts at the center of the "
        "recognition model and ends at a mode; chains start at its draws and end where p(z | x) has its mass, below "
        "the mode. Neither is a bound on log p(x). Annealing is not trained: its bound is above the ELBO by what its "
        "bridges gain. Step sizes are chosen on 20 validation images, those of chains by their acceptance."
    )
    write(arguments.output, "What refinement from the recognition model buys", tables, [note, f"![]({picture.name})"])


if __name__ == "__main__":
    main()
