"""This checkout against another: seconds to trace and compile a training step, and of the step, in turns.

    git worktree add DIRECTORY REVISION
    python -m benchmarks.speed.revisions --reference DIRECTORY --threads 1

Run it before and after the inside is rebuilt: a step more than 5% slower, or a compilation more than 10% longer, needs
a reason. The table's ratios are ours over the other's, so below 1 we are faster.
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns
from benchmarks.harness.worker import Worker

# One of each kind of model: flat, dense and convolutional, each kind of mask, the hierarchy in both orders, classes.
CONFIGS = (
    "mnist_bernoulli",
    "cifar_ctc:flat_cpu",
    "mnist_bernoulli_latents:cpu",
    "mnist_categorical_latents:cpu",
    "mnist_ctc_latents:cpu",
    "mnist_hierarchy",
    "mnist_hierarchy:bottom_up",
    "shapes_ctc",
)
WORKER = Path(__file__).with_name("revision_worker.py")
OURS, THEIRS = "here", "reference"


def start(config: str, checkout: Path, batch_size: int) -> Worker:
    """A worker of the checkout, which compiles afresh."""
    changes = {"train.batch_size": batch_size} if batch_size else {}
    # Revisions may differ in how they keep prepared arrays.
    apart = {} if checkout == ROOT else {"data.directory": str(checkout / ".data")}
    keys = {**changes, **apart, "train.cpu_devices": 1}
    environment = {"PYTHONPATH": str(checkout), "JAX_ENABLE_COMPILATION_CACHE": "false", "PYTHONWARNINGS": "ignore"}
    return Worker([str(WORKER), config, json.dumps(keys)], environment, checkout)


def compare(
    config: str, checkouts: dict[str, Path], *, starts: int, rounds: int, seconds: float, batch_size: int
) -> dict:
    """The row of one config: the checkouts are started `starts` times in turns; the last ones take steps in turns."""
    reports = {side: [] for side in checkouts}
    for _ in range(starts - 1):
        for side, checkout in checkouts.items():
            reports[side].append(start(config, checkout, batch_size).close())
    workers = {side: start(config, checkout, batch_size) for side, checkout in checkouts.items()}
    times = take_turns({side: worker.advance for side, worker in workers.items()}, rounds=rounds, seconds=seconds)
    for side, worker in workers.items():
        reports[side].append(worker.close())
    first = {
        side: [report["trace_seconds"] + report["compile_seconds"] for report in found]
        for side, found in reports.items()
    }
    trace = {side: [report["trace_seconds"] for report in found] for side, found in reports.items()}
    step = ratio(times[OURS], times[THEIRS])
    return {
        "config": config,
        "parameters": reports[OURS][0]["parameters"],
        "parameters of the reference": reports[THEIRS][0]["parameters"],
        "trace_seconds": min(trace[OURS]),
        "trace and compile_seconds": min(first[OURS]),
        # The least of several starts: what else runs on the machine only ever adds.
        "ratio of trace and compile": min(first[OURS]) / min(first[THEIRS]),
        "step_ms": median_ms(times[OURS]),
        "ratio of step": step.median,
        "quartiles": f"{step.low:.3f} to {step.high:.3f}",
    }


def revision(checkout: Path) -> str:
    """The commit that is checked out."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Compares all configs, writing the page after each."""
    flags = parser(__doc__, "revisions")
    flags.add_argument("--reference", type=Path, required=True, help="the other checkout")
    flags.add_argument("--configs", nargs="+", default=list(CONFIGS), help="names in configs/, with presets")
    flags.add_argument("--batch_size", type=int, default=0, help="0 is the config's")
    flags.add_argument("--starts", type=int, default=3, help="of each checkout")
    flags.add_argument("--rounds", type=int, default=9)
    flags.add_argument("--turn_seconds", type=float, default=2.0)
    arguments = flags.parse_args()
    if not (arguments.reference / "ctc_jax").is_dir():
        sys.exit(f"error: --reference={arguments.reference} holds no ctc_jax; make it with git worktree add")
    limit_threads(arguments.threads)
    checkouts = {OURS: ROOT, THEIRS: arguments.reference.absolute()}
    note = (
        f"The reference is commit {revision(arguments.reference)}. Trace and compilation are processor seconds, the "
        "least of all starts; steps are medians over rounds in turns, each side in its own process."
    )
    rows = []
    for config in arguments.configs:
        rows.append(
            compare(
                config,
                checkouts,
                starts=arguments.starts,
                rounds=arguments.rounds,
                seconds=arguments.turn_seconds,
                batch_size=arguments.batch_size,
            )
        )
        write(arguments.output, "Two revisions", {"": rows}, [note])


if __name__ == "__main__":
    main()
