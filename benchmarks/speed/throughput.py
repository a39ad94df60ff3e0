"""Training images per second, data included, against the same network in eager PyTorch. At most eight minutes.

That it is the same network is checked first: same number of parameters, and from the same parameters, images and
noise the same losses over several steps of the optimizer, to float32 rounding. Then both train in turns, each in a
process of its own, on the same number of threads. Times to the first step are those of launch.py; PyTorch's is that
of a script that loads the data and takes one step.
"""

import argparse
import importlib
import json
import os
import tempfile
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks.harness.machine import limit_threads, utilization
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns
from benchmarks.harness.worker import Worker
from benchmarks.speed.startup import measure

CONFIGS = ("cifar_gaussian", "cifar_ctc")
AGREEMENT_STEPS, AGREEMENT_BATCH = 4, 8
TOLERANCE = {"cpu": 2e-6, "cuda": 1e-4}  # of a loss, relative: roundings of float32; GPUs multiply in fewer bits


def config_of(name: str, arguments: argparse.Namespace) -> ConfigDict:
    """The experiment, in the compute type that both sides share."""
    config = importlib.import_module(f"configs.{name}").get_config(arguments.preset)
    config.update_from_flattened_dict(changes(arguments))
    return config


def changes(arguments: argparse.Namespace) -> dict:
    """Keys of the config that flags replace."""
    given = {"train.batch_size": arguments.batch_size, "model.width": arguments.width}
    given = {key: value for key, value in given.items() if value}
    return {**given, "train.compute_dtype": arguments.compute_dtype}


def device() -> str:
    """PyTorch's name of the device that JAX uses."""
    return "cpu" if jax.default_backend() == "cpu" else "cuda"


def prepare(config: ConfigDict, directory: Path) -> tuple[int, float, float]:
    """Checks that both sides are the same network and leaves in `directory` what PyTorch's worker needs.

    Returns:
      The number of parameters, the floating-point operations of a training step, and the largest relative difference
      of the losses of the first steps.

    Raises:
      AssertionError: the numbers of parameters differ, or the losses by more than rounding.
    """
    import torch

    from benchmarks.harness.trainer import Trainer
    from benchmarks.speed import torch_reference
    from ctc_jax.data.stream import indices
    from ctc_jax.distributions.value_family import log_scale_limits

    small = config.copy_and_resolve_references()
    # A first update at full rate shows most: warm-up would leave the parameters nearly as they were.
    small.update_from_flattened_dict(
        {"train.batch_size": AGREEMENT_BATCH, "train.compute_dtype": "float32", "train.warmup_steps": 0}
    )
    ours = Trainer(small, steps_per_call=1)
    params = jax.tree.map(np.asarray, ours.state.params)
    images = ours.experiment.dataset.train.images
    (directory / "config.json").write_text(json.dumps(config.to_dict()))
    np.save(directory / "parameters.npy", params, allow_pickle=True)
    np.save(directory / "images.npy", images)
    theirs = torch_reference.TorchTrainer(small, params, images, torch_reference.LAYOUTS[0], device())
    assert log_scale_limits(8) == torch_reference.LOG_SCALES, "scales are clamped elsewhere"
    count = sum(parameter.numel() for parameter in theirs.parameters)
    assert count == ours.parameters, f"{count} parameters are not {ours.parameters}"
    worst = 0.0
    with jax.default_matmul_precision("float32"):
        for step in range(AGREEMENT_STEPS):
            expected = float(ours.advance(1)[0]["loss_nats"][0])
            rows = indices(len(images), AGREEMENT_BATCH, small.seed, step, 1)[0].astype(np.int64)
            key = jax.random.fold_in(jax.random.key(small.seed), step)
            noise = np.array(jax.random.normal(key, (AGREEMENT_BATCH, small.model.latents)))
            found = float(theirs.step(torch.from_numpy(rows).to(device()), torch.from_numpy(noise).to(device())))
            worst = max(worst, abs(found / expected - 1.0))
    assert worst < TOLERANCE[device()], f"losses differ by {worst:.2e} of their value: not the same network"
    return count, theirs.flops() * config.train.batch_size / AGREEMENT_BATCH, worst


def compare(name: str, arguments: argparse.Namespace, directory: Path) -> tuple[list[dict], str]:
    """The rows of one config, and a note."""
    from benchmarks.speed.torch_reference import LAYOUTS

    config = config_of(name, arguments)
    parameters, flops, difference = prepare(config, directory)
    # An empty cache, so that the peak of memory includes compilation.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(directory / "worker")}
    workers = {"JAX": Worker(["-m", "benchmarks.harness.trainer", str(directory)], cache)}
    for layout in LAYOUTS:
        workers[layout] = Worker(["-m", "benchmarks.speed.torch_reference", str(directory), layout, device()])
    times = take_turns(
        {side: worker.advance for side, worker in workers.items()},
        rounds=arguments.rounds,
        seconds=arguments.turn_seconds,
    )
    reports = {side: worker.close() for side, worker in workers.items()}
    times["JAX"] = [seconds / reports["JAX"]["steps_per_call"] for seconds in times["JAX"]]
    medians = {side: median_ms(seconds) for side, seconds in times.items()}
    best = min(LAYOUTS, key=medians.get)
    faster = ratio(times[best], times["JAX"])
    preset = f":{arguments.preset}" if arguments.preset else ""
    overrides = [f"--config.{key}={value}" for key, value in changes(arguments).items()]
    starts = measure(f"configs/{name}.py{preset}", overrides, directory, arguments.repeats)
    rows = []
    for side, own in (("JAX", "JAX"), ("PyTorch", best)):
        rate = 1e3 * flops / medians[own]
        used = utilization(rate, jax.devices()[0].device_kind, config.train.compute_dtype)
        ours = {"ratio": faster.median, "quartiles": f"{faster.low:.3f} to {faster.high:.3f}"} if own == "JAX" else {}
        rows.append(
            {
                "config": name + preset,
                "side": side,
                "step_ms": medians[own],
                "images_per_second": 1e3 * config.train.batch_size / medians[own],
                **ours,
                "gigaflops a second": rate / 1e9,
                **({"share of the device's peak": used} if used else {}),
                "peak_mib": reports[own]["peak_mib"],
                **({"device peak_mib": reports[own]["device_mib"]} if "device_mib" in reports[own] else {}),
                **(starts if own == "JAX" else {"warm_seconds": workers[best].first_step_seconds}),
            }
        )
    layouts = ", ".join(f"{layout} {medians[layout]:.0f} ms" for layout in LAYOUTS)
    note = (
        f"{name}: {parameters:,} parameters on both sides; losses of the first {AGREEMENT_STEPS} steps from the same "
        f"parameters, images and noise differ by at most {difference:.1e} of their value. PyTorch's layouts: "
        f"{layouts}; the best is in the table."
    )
    return rows, note


def main() -> None:
    """Compares both configs."""
    flags = parser(__doc__, "throughput")
    flags.add_argument("--configs", nargs="+", default=list(CONFIGS))
    flags.add_argument("--preset", default="flat_cpu")
    flags.add_argument("--batch_size", type=int, default=0, help="0 is the config's")
    flags.add_argument("--width", type=int, default=0, help="0 is the config's")
    flags.add_argument("--compute_dtype", default="float32", choices=["float32", "bfloat16"])
    flags.add_argument("--rounds", type=int, default=9)
    flags.add_argument("--turn_seconds", type=float, default=1.5)
    flags.add_argument("--repeats", type=int, default=3, help="warm and resumed starts")
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share an accelerator
    rows, notes = [], []
    for name in arguments.configs:
        with tempfile.TemporaryDirectory() as directory:
            found, note = compare(name, arguments, Path(directory))
        rows, notes = rows + found, [*notes, note]
    notes.append(
        "Medians over rounds in which each side takes its turn in its own process; the ratio is PyTorch's time over "
        "ours within a round, so above 1 we are faster; the target is 1.0. Both gather each batch from the whole "
        "training part in memory. Memory is the peak of the process, libraries, data and compilation included. Times "
        "in seconds are from the start of a process to the end of its first step: cold, with an empty compilation "
        "cache; warm, with a filled one (PyTorch, which compiles nothing, is under warm); resume, warm and from a "
        "checkpoint."
    )
    write(arguments.output, "Training throughput", {"": rows}, notes)


if __name__ == "__main__":
    main()
