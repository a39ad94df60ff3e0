"""Steps per second of training with each gradient estimator, relative to one plain step. About six minutes.

A plain step is that of straight_through: one mask, one pass. Whole steps as the loop takes them, data included, of
configs/mnist_bernoulli_latents.py, mnist_categorical_latents.py or mnist_ctc_latents.py.
"""

import dataclasses
import gc
import importlib

from benchmarks.gradients.variants import variants
from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import RESULTS, parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns
from benchmarks.harness.trainer import Trainer
from ctc_jax.gradients import REGISTRY, AbstractEstimator

PLAIN = "straight_through"


def main() -> None:
    """Times each against the plain one, in turns with it."""
    flags = parser(__doc__, "estimator_speed")
    flags.set_defaults(output=None)
    flags.add_argument("--latent", choices=("bernoulli", "categorical", "ctc"), default="categorical")
    flags.add_argument("--preset", default="linear", help="of the config: linear, nonlinear")
    flags.add_argument("--batch_size", type=int, default=100)
    flags.add_argument("--data", choices=("mnist", "static_mnist"), default="mnist", help="dynamic or static")
    flags.add_argument("--most_rewards", type=int, default=256, help="an estimator may take for an example")
    flags.add_argument("--rounds", type=int, default=5)
    flags.add_argument("--turn_seconds", type=float, default=0.5)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    module = importlib.import_module(f"configs.mnist_{arguments.latent}_latents")

    def trainer(name: str, estimator: AbstractEstimator) -> Trainer:
        config = module.get_config("" if arguments.preset == "linear" else arguments.preset)
        config.estimator.name = name
        config.estimator.update({name: dataclasses.asdict(estimator)})
        config.train.batch_size = arguments.batch_size
        config.data.update(name=arguments.data, binarization="dynamic" if arguments.data == "mnist" else "none")
        return Trainer(config)

    plain, rows = trainer(PLAIN, REGISTRY[PLAIN]()), []
    for label, name, estimator, rewards in variants(plain.experiment.model, most_rewards=arguments.most_rewards):
        one = plain if label == PLAIN else trainer(name, estimator)
        times = take_turns(
            {PLAIN: plain.advance, label: one.advance}, rounds=arguments.rounds, seconds=arguments.turn_seconds
        )
        speed = ratio(times[PLAIN], times[label])
        milliseconds = median_ms(times[label]) / one.count
        rows.append(
            {
                "estimator": label,
                "rewards": rewards,
                "step_ms": milliseconds,
                "steps_per_second": 1e3 / milliseconds,
                "speed relative to a plain step": speed.median,
                "quartiles": f"{speed.low:.3f} to {speed.high:.3f}",
            }
        )
        print(label, f"{milliseconds:.2f} ms", flush=True)
        # Each trainer holds a copy of the training images.
        del one
        gc.collect()
    rows.sort(key=lambda row: -row["speed relative to a plain step"])
    notes = [
        f"{arguments.latent} latents, {arguments.preset} networks, batch {arguments.batch_size}, {arguments.data}. "
        f"Each estimator took turns with {PLAIN}; a ratio is that of neighbors in time, and steps a second are of the "
        "machine as it was then."
    ]
    write(
        arguments.output or RESULTS / f"estimator_speed_{arguments.latent}.json",
        "Speed of training by gradient estimator",
        {"": rows},
        notes,
    )


if __name__ == "__main__":
    main()
