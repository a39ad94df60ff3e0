"""Many training steps in one dispatch against one: the same curve, and the steps per second. At most two minutes.

The model is the fully connected VAE of configs/mnist_bernoulli.py, on which the cost of a dispatch is the largest
part. Runs on any backend; on CPU a run takes one step a call, because convolutions are slow inside a scan there.
"""

import jax
import numpy as np

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns
from benchmarks.harness.trainer import Trainer
from configs import mnist_bernoulli


def main() -> None:
    """Compares the curves, then the speeds."""
    flags = parser(__doc__, "steps_per_call")
    flags.add_argument("--many", type=int, default=50, help="steps in one dispatch")
    flags.add_argument("--steps", type=int, default=500, help="of the curve; a multiple of --many")
    flags.add_argument("--rounds", type=int, default=9)
    flags.add_argument("--turn_seconds", type=float, default=1.0)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    trainers = {count: Trainer(mnist_bernoulli.get_config(), count) for count in (1, arguments.many)}
    curves = {count: losses(one, arguments.steps // count) for count, one in trainers.items()}
    single, many = curves[1], curves[arguments.many]
    difference = float(np.max(np.abs(single - many)))
    times = take_turns(
        {str(count): one.advance for count, one in trainers.items()},
        rounds=arguments.rounds,
        seconds=arguments.turn_seconds,
    )
    per_step = {count: [seconds / count for seconds in times[str(count)]] for count in trainers}
    rows = []
    for count in trainers:
        gain = ratio(per_step[1], per_step[count])
        milliseconds = median_ms(per_step[count])
        rows.append(
            {
                "steps a call": count,
                "step_ms": milliseconds,
                "steps_per_second": 1e3 / milliseconds,
                "speed relative to one step a call": gain.median,
                "quartiles": f"{gain.low:.3f} to {gain.high:.3f}",
                "largest difference of the curves_nats": float(np.max(np.abs(curves[count] - single))),
            }
        )
    notes = [
        f"The curves are the losses of the first {len(single)} steps from the same start ({single[0]:.1f} to "
        f"{single[-1]:.1f} nats); they differ by at most {difference:.3g} nats, "
        f"{difference / float(np.max(np.abs(single))):.1e} of the largest, on the backend {jax.default_backend()}."
    ]
    write(arguments.output, "Steps in one dispatch", {"": rows}, notes)


def losses(trainer: Trainer, calls: int) -> np.ndarray:
    """The losses of `calls` dispatches, nats."""
    return np.concatenate([np.asarray(metrics["loss_nats"]) for metrics in trainer.advance(calls)])


if __name__ == "__main__":
    main()
