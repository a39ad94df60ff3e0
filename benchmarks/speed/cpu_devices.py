"""A training step on the CPU as one device against one device a core. At most three minutes.

Each setting trains in a process of its own, because the number of devices is fixed for a process; they take turns.
"""

import importlib
import json
import tempfile
from pathlib import Path

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns
from benchmarks.harness.worker import Worker

EXPERIMENTS = {
    "cifar_gaussian": "flat_cpu",
    "cifar_categorical": "flat_cpu",
    "cifar_ctc": "flat_cpu",
    "mnist_bernoulli": "",
}
DEVICES = {"one": 1, "one a core": 0}


def main() -> None:
    """Measures each experiment with each number of devices."""
    flags = parser(__doc__, "cpu_devices")
    flags.add_argument("--configs", nargs="+", default=list(EXPERIMENTS), choices=list(EXPERIMENTS))
    flags.add_argument("--rounds", type=int, default=5)
    flags.add_argument("--turn_seconds", type=float, default=2.0)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    rows = []
    for name in arguments.configs:
        rows += measure(name, arguments.rounds, arguments.turn_seconds)
        print(rows[-1], flush=True)
    write(arguments.output, "Devices a CPU is split into", {"": rows})


def measure(name: str, rounds: int, seconds: float) -> list[dict]:
    """Rows of one experiment."""
    config = importlib.import_module(f"configs.{name}").get_config(EXPERIMENTS[name])
    with tempfile.TemporaryDirectory() as temporary:
        workers = {}
        for label, count in DEVICES.items():
            directory = Path(temporary) / label
            directory.mkdir()
            config.train.cpu_devices = count
            (directory / "config.json").write_text(json.dumps(config.to_dict()))
            workers[label] = Worker(["-m", "benchmarks.harness.trainer", str(directory)])
        times = take_turns({label: one.advance for label, one in workers.items()}, rounds=rounds, seconds=seconds)
        for one in workers.values():
            one.close()
    rows = []
    for label in DEVICES:
        relative = ratio(times[label], times["one"])
        rows.append(
            {
                "experiment": f"{name}:{EXPERIMENTS[name]}".rstrip(":"),
                "devices": label,
                "step_ms": median_ms(times[label]),
                "relative to one device": relative.median,
                "quartiles": f"{relative.low:.3f} to {relative.high:.3f}",
            }
        )
    return rows


if __name__ == "__main__":
    main()
