"""What a likelihood costs: milliseconds of a training step, the network being the same. At most five minutes.

The first network is that of configs/cifar_*.py:flat_cpu at batch 64, the second is wider, so that a step with the
Gaussian takes about 214 ms, the figure against which the target (ctc at most 1.1 times the Gaussian) was set.
"""

import gc
import importlib

import jax

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns, width_for
from benchmarks.harness.trainer import Trainer

TARGET_MS = 214.0
SETTINGS = {
    "gaussian": ("cifar_gaussian", {}),
    "logistic": ("cifar_logistic", {}),
    "categorical": ("cifar_categorical", {}),
    "ctc, 10 components": ("cifar_ctc", {}),
    "ctc, 10 components, autoregressive": ("cifar_ctc", {"likelihood.ctc.autoregressive": True}),
}


def trainer(name: str, width: int, batch_size: int) -> Trainer:
    """A run of the likelihood `name`, on the `cpu` preset's network of another width."""
    module, changes = SETTINGS[name]
    config = importlib.import_module(f"configs.{module}").get_config("flat_cpu")
    config.update_from_flattened_dict({**changes, "model.width": width, "train.batch_size": batch_size})
    return Trainer(config)


def measure(width: int, batch_size: int, rounds: int, seconds: float) -> list[dict]:
    """Rows of one network."""
    trainers = {name: trainer(name, width, batch_size) for name in SETTINGS}
    times = take_turns({name: one.advance for name, one in trainers.items()}, rounds=rounds, seconds=seconds)
    rows = []
    for name, one in trainers.items():
        steps = [second / one.count for second in times[name]]
        price = ratio(times[name], times["gaussian"])
        rows.append(
            {
                "likelihood": name,
                "step_ms": median_ms(steps),
                "ratio to gaussian": price.median,
                "quartiles": f"{price.low:.3f} to {price.high:.3f}",
                "parameters": one.parameters,
            }
        )
    return rows


def gaussian_ms(width: int, batch_size: int, seconds: float) -> float:
    """Milliseconds of a step with the Gaussian."""
    one = trainer("gaussian", width, batch_size)
    times = take_turns({"gaussian": one.advance}, rounds=3, seconds=seconds)["gaussian"]
    return median_ms(times) / one.count


def main() -> None:
    """Measures both networks."""
    flags = parser(__doc__, "likelihood_price")
    flags.add_argument("--batch_size", type=int, default=64)
    flags.add_argument("--rounds", type=int, default=9)
    flags.add_argument("--turn_seconds", type=float, default=1.0)
    flags.add_argument("--wide", type=int, default=0, help="width of the second network; 0 finds it")
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    batch_size, seconds = arguments.batch_size, arguments.turn_seconds
    wide = arguments.wide
    if not wide:
        widths = (64, 128)
        wide = width_for(TARGET_MS, widths, tuple(gaussian_ms(width, batch_size, seconds) for width in widths))
    tables = {}
    for width in (64, wide):
        tables[f"width {width}, batch {batch_size}"] = measure(width, batch_size, arguments.rounds, seconds)
        jax.clear_caches()
        gc.collect()
    notes = [
        "Medians over rounds in which each likelihood takes its turn, data included; a ratio is taken within a round. "
        "The target is 1.1 for ctc at the width whose Gaussian step takes about 214 ms."
    ]
    write(arguments.output, "The price of a likelihood", tables, notes)


if __name__ == "__main__":
    main()
