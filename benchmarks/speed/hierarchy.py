"""Time and memory of training a hierarchy against the same network with deterministic ReLU and max pooling.

configs/mnist_hierarchy.py; each side trains in a process of its own, in turns with the others, data included. Ten
minutes on two cores, half of it compilation.
"""

import argparse
import importlib
import json
import tempfile
from pathlib import Path

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns
from benchmarks.harness.worker import Worker

# Name -> families of the levels, estimator, and side of deterministic_hierarchy.py.
POOL, RELU = "deterministic max pooling", "deterministic ReLU"
SIDES = {
    POOL: ("ctc_pool", "reinmax", "twin"),
    "ctc_pool, reinmax": ("ctc_pool", "reinmax", "hierarchy"),
    "ctc_pool, straight_through": ("ctc_pool", "straight_through", "hierarchy"),
    "ctc_pool, st_gumbel": ("ctc_pool", "st_gumbel", "hierarchy"),
    "ctc_pool, gumbel_rao": ("ctc_pool", "gumbel_rao", "hierarchy"),
    "ctc_pool, rloo-2": ("ctc_pool", "rloo", "hierarchy"),
    RELU: ("ctc_relu", "reinmax", "twin"),
    "ctc_relu, reinmax": ("ctc_relu", "reinmax", "hierarchy"),
    "ctc_relu, straight_through": ("ctc_relu", "straight_through", "hierarchy"),
    "ctc_relu, rloo-2": ("ctc_relu", "rloo", "hierarchy"),
    "gaussian": ("gaussian", "pathwise", "hierarchy"),
    "none": ("none", "pathwise", "hierarchy"),
}


def reference(name: str) -> str:
    """What a side is compared with."""
    return RELU if SIDES[name][0] == "ctc_relu" else POOL


def start(name: str, arguments: argparse.Namespace, directory: Path) -> Worker:
    """The process of a side; an empty compilation cache, so that the peak of memory includes compilation."""
    families, estimator, side = SIDES[name]
    config = importlib.import_module(f"configs.{arguments.config}").get_config()
    config.update_from_flattened_dict({"model.ctc_hierarchy.families": families, "estimator.name": estimator})
    if arguments.batch_size:
        config.train.batch_size = arguments.batch_size
    own = directory / name.replace(" ", "_")
    own.mkdir()
    (own / "config.json").write_text(json.dumps(config.to_dict()))
    cache = {"JAX_COMPILATION_CACHE_DIR": str(own / "cache")}
    return Worker(["-m", "benchmarks.speed.deterministic_hierarchy", side, str(own)], cache)


def measure(arguments: argparse.Namespace) -> list[dict]:
    """A row for each side."""
    names = [name for name in SIDES if name in arguments.sides or name in map(reference, arguments.sides)]
    with tempfile.TemporaryDirectory() as directory:
        workers = {name: start(name, arguments, Path(directory)) for name in names}
        times = take_turns(
            {name: worker.advance for name, worker in workers.items()},
            rounds=arguments.rounds,
            seconds=arguments.turn_seconds,
        )
        reports = {name: worker.close() for name, worker in workers.items()}
    for name, report in reports.items():
        times[name] = [seconds / report["steps_per_call"] for seconds in times[name]]
    rows = []
    for name in names:
        of, twins = reports[name], reports[reference(name)]
        price = ratio(times[name], times[reference(name)])
        rows.append(
            {
                "levels": name,
                "parameters": of["parameters"],
                "step_ms": median_ms(times[name]),
                "steps_per_second": 1e3 / median_ms(times[name]),
                "time to the deterministic": price.median,
                "quartiles": f"{price.low:.3f} to {price.high:.3f}",
                "buffers_mib": of["buffers_mib"],
                "buffers to the deterministic": of["buffers_mib"] / twins["buffers_mib"],
                "peak_mib": of["peak_mib"],
                "first step_seconds": workers[name].first_step_seconds,
            }
        )
    return rows


def main() -> None:
    """Times all sides."""
    flags = parser(__doc__, "hierarchy_speed")
    flags.add_argument("--config", default="mnist_hierarchy")
    flags.add_argument("--batch_size", type=int, default=0, help="0 is the config's")
    flags.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    flags.add_argument("--rounds", type=int, default=9)
    flags.add_argument("--turn_seconds", type=float, default=1.5)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    rows = measure(arguments)
    notes = [
        f"configs/{arguments.config}.py, whole training steps, data included; medians over {arguments.rounds} rounds "
        "in which each side takes its turn in its own process; a ratio is that to the deterministic network of its "
        "kind within a round (max pooling for what has no ReLU). The target is 1.5 at most.",
        "The deterministic network is the hierarchy's own: same convolutions and dense layers on both sides, same "
        "Gaussian top, same top-down way of a level's features, the same layer for the locations of its values. In "
        "place of the draw of masks and values a level keeps the largest unit of each window where it is and puts 0 "
        "for the others (or applies ReLU), and hands values and positions down for free. It lacks what a price needs: "
        "the prior's layers, those of logits and scales, noise, and the KL below the top; it is the limit of the "
        "hierarchy's q for tied logits, beta without bound and scales of 0 (tested). So its bound is that of an "
        "autoencoder with skip connections, and only its time is of interest.",
        "Buffers are what XLA plans for a step beside parameters, optimizer and batch, on each device; peak is that of "
        "the process, libraries, data and compilation included. Time to the first step is with an empty compilation "
        "cache, one process at a time.",
    ]
    write(arguments.output, "A hierarchy's training steps against deterministic pooling and ReLU", {"": rows}, notes)


if __name__ == "__main__":
    main()
