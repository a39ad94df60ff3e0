"""What the author of the model claimed without figures, each with one.

pooling: a category learns 1/K of the time; SOM pooling lessens this variance of sampling latents. Four CTC masks of K
  alternatives, linear decoder, with and without pooling: noise-to-signal ratio of the gradient by K.
baseline: an input-dependent baseline on the pathwise gradient lessens the variance of rewards. Three CTC masks of four
  alternatives: variance and bias, against enumeration, as published and in an unbiased form.
temperature: training with relaxed masks destabilizes as the temperature falls to 0. Bound, gradient norm and gradient
  variance over training, the temperature constant or falling.

A page for each of `--claims`. Together about ten minutes on two cores.
"""

from benchmarks.claims.baseline import baseline, plot_baseline
from benchmarks.claims.pooling import plot_pooling, pooling
from benchmarks.claims.temperature import plot_temperature, temperature
from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.snapshots import BINARIZATION

RATIO = "Noise to signal: total variance of one gradient over the squared length of its expectation; - where hidden."
BOUND = "Bounds are of the first validation images at sampled masks."
CLAIMS = {
    "pooling": (
        pooling,
        plot_pooling,
        "Variance of sampling latents by the number of alternatives, with and without SOM pooling",
        "A hidden layer of 64 units on each side, rloo-2; the gradient, summed over the batch, in the encoder's last "
        f"bias below the pooling (logits and locations) and in the decoder's row of each alternative. {RATIO} {BOUND}",
    ),
    "baseline": (
        baseline,
        plot_baseline,
        "Variance of rewards and the source's baseline",
        "Linear networks; draws against enumeration of all masks; values are those that masks multiply. The published "
        "rule has no score term: its gradient in the logits is 0. Rules of 2 samples take two rewards, the published "
        "one takes one. Relative bias and z as on the pages of gradient_variance; a hollow bar is not told from noise.",
    ),
    "temperature": (
        temperature,
        plot_temperature,
        "Training with relaxed masks as their temperature falls",
        "Linear networks, 20 masks of 10; means over seeds, which share their batches. Norm of the whole gradient, "
        "averaged since the row before; variance in the encoder's output layer on one frozen batch, at that step's "
        f"temperature. {RATIO} {BOUND}",
    ),
}


def schedule(text: str) -> tuple[float, float]:
    """`1` or `1:0.01`."""
    start, _, end = text.partition(":")
    return float(start), float(end or start)


def main() -> None:
    """Measures the claims chosen, with a figure each."""
    flags = parser(__doc__, "source_claims")
    flags.add_argument("--claims", nargs="+", choices=list(CLAIMS), default=list(CLAIMS))
    flags.add_argument("--data", choices=list(BINARIZATION), default="static_mnist")
    flags.add_argument("--learning_rate", type=float, default=1e-3)
    flags.add_argument("--images", type=int, default=500, help="validation images of a bound")
    flags.add_argument("--alternatives", type=int, nargs="+", default=[16, 64, 256, 1024, 4096])
    flags.add_argument("--sigma", type=float, default=4.0, help="squared grid distance of pooled neighbors")
    flags.add_argument("--pooling_steps", type=int, default=300, help="of training before the second measurement")
    flags.add_argument("--pooling_keys", type=int, default=256)
    flags.add_argument("--baseline_steps", type=int, nargs="+", default=[0, 1_000, 10_000])
    flags.add_argument("--keys", type=int, default=2048, help="of a rule")
    flags.add_argument("--learn", type=int, default=1_000, help="steps in which a baseline is trained")
    flags.add_argument("--schedules", type=schedule, nargs="+", default=[(1.0, 1.0), (1.0, 0.1), (1.0, 0.01)])
    flags.add_argument("--temperature_steps", type=int, default=3_000)
    flags.add_argument("--temperature_keys", type=int, default=64)
    flags.add_argument("--seeds", type=int, default=3)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    import matplotlib

    matplotlib.use("agg")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    for name in arguments.claims:
        measure, plot, title, note = CLAIMS[name]
        rows = measure(arguments)
        output = arguments.output.with_stem(f"{arguments.output.stem}_{name}")
        picture = output.with_suffix(".png")
        plot(rows, picture)
        protocol = (
            f"MNIST, {BINARIZATION[arguments.data]} binarization, batch of 24, Adam at {arguments.learning_rate:g}."
        )
        write(output, title, {"": rows}, [f"{protocol} {note}", f"![{name}]({picture.name})"])


if __name__ == "__main__":
    main()
