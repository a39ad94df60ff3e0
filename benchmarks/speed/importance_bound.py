"""Evaluating the importance-weighted bound: images x samples a second against eager PyTorch, and memory as K grows.

The network of configs/mnist_bernoulli.py, freshly initialized, on random images. Both sides are first given the same
latents, whose log-weights must agree. Five minutes on two cores.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns
from benchmarks.harness.worker import Worker, serve
from configs import mnist_bernoulli
from ctc_jax import training
from ctc_jax.cli.modes import use_compilation_cache
from ctc_jax.data import Batch, Split
from ctc_jax.evaluation import evaluate_importance
from ctc_jax.models import ImageSpace, Masked, Model
from ctc_jax.training.host_memory import keep_host_memory

TOLERANCE = {"cpu": 2e-5, "cuda": 2e-3}  # of a log-weight, relative
CHUNKS = (10, 25, 100)  # latents of each image at once, in PyTorch


def model_and_batch(images: int) -> tuple[Model, Batch]:
    """The model of the config, and random images."""
    model = training.build_model(mnist_bernoulli.get_config(), ImageSpace((28, 28, 1), 1, 10))
    pixels = np.random.default_rng(0).integers(0, 2, (images, 28, 28, 1)).astype(np.uint8)
    return model, Batch(jnp.asarray(pixels), jnp.zeros(images, jnp.int32))


def prepare(directory: Path, images: int, device: str) -> float:
    """Leaves parameters and images in `directory`; the largest relative difference of log-weights of the same latents.

    Raises:
      AssertionError: it is more than rounding.
    """
    import torch

    from benchmarks.speed.torch_importance_bound import Reference

    model, batch = model_and_batch(images)
    params = jax.jit(model.init)(jax.random.key(0))
    np.save(directory / "parameters.npy", jax.tree.map(np.asarray, params), allow_pickle=True)
    np.save(directory / "images.npy", np.asarray(batch.image))
    noise = np.random.default_rng(1).normal(size=(3, images, mnist_bernoulli.get_config().model.latents))
    worst = 0.0
    for multiplied in (False, True):
        flat = np.asarray(batch.image).reshape(images, -1)
        with torch.no_grad():
            reference = Reference(jax.tree.map(np.asarray, params), flat, multiplied, device)
            loc, log_scale = reference.moments()
            drawn = torch.tensor(noise, dtype=torch.float32, device=device)
            latents = (loc + log_scale.exp() * drawn).cpu().numpy()
            found = reference.log_weights(loc, log_scale, drawn).cpu().numpy()
        with jax.default_matmul_precision("float32"):
            scored = jax.jit(lambda z: model.infer(params, None, batch, given={"z": Masked(z)}).log_weight)
            expected = np.stack([scored(jnp.asarray(latent)) for latent in latents])
        worst = max(worst, float(np.max(np.abs(found / expected - 1.0))))
    assert worst < TOLERANCE[device], f"log-weights differ by {worst:.2e} of their value: not the same network"
    return worst


def workers(directory: Path, samples: int, device: str, chunks: tuple[int, ...]) -> dict[str, Worker]:
    """A process for our side, and one for each way of PyTorch's."""
    common = [str(directory), str(samples)]
    # An empty cache, so that the peak of memory includes compilation.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(directory / f"compiled-{samples}-{len(chunks)}")}
    found = {"JAX": Worker(["-m", "benchmarks.speed.importance_bound", "--worker", *common], cache)}
    for layers in ("written", "multiplied"):
        for chunk in chunks:
            arguments = [str(directory), layers, str(samples), str(chunk), device]
            found[f"{layers} {chunk}"] = Worker(["-m", "benchmarks.speed.torch_importance_bound", *arguments])
    return found


def throughput(arguments: argparse.Namespace, directory: Path, device: str) -> list[dict]:
    """Rows of our side and of PyTorch's best, with the network as written and with its linear layers multiplied."""
    sides = workers(directory, arguments.samples, device, CHUNKS)
    times = take_turns(
        {name: worker.advance for name, worker in sides.items()},
        rounds=arguments.rounds,
        seconds=arguments.turn_seconds,
    )
    for worker in sides.values():
        worker.close()
    medians = {name: median_ms(seconds) for name, seconds in times.items()}

    def best(layers: str) -> str:
        return min((name for name in times if name.startswith(layers)), key=medians.get)

    rows = []
    for label, name in (
        ("JAX", "JAX"),
        ("PyTorch, the network as written", best("written")),
        ("PyTorch, its last two linear layers multiplied together", best("multiplied")),
    ):
        faster = ratio(times[name], times["JAX"])
        rows.append(
            {
                "side": label,
                "latents at once": "" if name == "JAX" else name.split()[1],
                "images x samples a second": 1e3 * arguments.images * arguments.samples / medians[name],
                "time over ours": faster.median,
                "quartiles": f"{faster.low:.2f} to {faster.high:.2f}",
            }
        )
    return rows


def memory(arguments: argparse.Namespace, directory: Path, device: str) -> list[dict]:
    """Peak resident memory of a process that evaluates once, at each K."""
    rows = []
    for samples in arguments.memory_samples:
        sides = workers(directory, samples, device, (25,))
        peaks = {name: worker.close()["peak_mib"] for name, worker in sides.items()}
        rows.append({"samples": samples, "JAX peak_mib": peaks["JAX"], "PyTorch peak_mib": peaks["written 25"]})
    return rows


def work(directory: Path, samples: int) -> None:
    """Our worker."""
    use_compilation_cache()
    keep_host_memory()
    images = np.load(directory / "images.npy")
    model, _ = model_and_batch(len(images))
    params = jax.device_put(np.load(directory / "parameters.npy", allow_pickle=True).item())
    split = Split(images, np.zeros(len(images), np.int32))

    def advance(times: int) -> None:
        for _ in range(times):
            evaluate_importance(model, params, split, samples=samples, batch_size=len(images), seed=0)

    serve(advance)


def main() -> None:
    """Measures both."""
    flags = parser(__doc__, "importance_bound")
    flags.add_argument("--images", type=int, default=100)
    flags.add_argument("--samples", type=int, default=500, help="K where speed is measured")
    flags.add_argument("--memory_samples", type=int, nargs="+", default=[50, 500, 5000])
    flags.add_argument("--rounds", type=int, default=7)
    flags.add_argument("--turn_seconds", type=float, default=2.0)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    with tempfile.TemporaryDirectory() as directory:
        difference = prepare(Path(directory), arguments.images, device)
        tables = {
            "Speed": throughput(arguments, Path(directory), device),
            "Memory": memory(arguments, Path(directory), device),
        }
    notes = [
        f"Log-weights of the same latents differ by at most {difference:.1e} of their value. {arguments.images} "
        f"images, K = {arguments.samples} where speed is measured; medians over rounds in which each side takes its "
        "turn in its own process, ratios within a round; the target is 2. Ours multiplies the decoder's last two "
        "layers, which are linear, together before it meets a latent; PyTorch does what is written, or the same where "
        f"the row says so, at the best of {', '.join(map(str, CHUNKS))} latents an image at once. Memory is the peak "
        "of the process, libraries and compilation included."
    ]
    write(arguments.output, "Evaluating the importance-weighted bound", tables, notes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
