"""Training batches as a pure function of (seed, step). Tests: tests/data/test_stream.py."""

from collections.abc import Callable
from functools import lru_cache, partial

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Int32, Integer, Shaped

from ctc_jax.data.binarization import binarize
from ctc_jax.data.dataset import Batch, Split
from ctc_jax.data.prefetch import Prefetch
from ctc_jax.options import OptionError

BINARIZATION_STREAM = 4_001  # keeps the pixels' random numbers apart from those of training, which start at one seed
VARIATION_STREAM = 4_002  # and those of places and contrasts from those of an epoch's order


class BatchStream:
    """Device arrays of `count` consecutive batches, the same on any number of devices and hosts.

    The images live on every device when they fit the budget; else the host gathers them, ahead of time, as it does
    those whose contrast or place is drawn anew at each step.

    Args:
      split: images and labels; images are varied and grey ones binarized anew at each step.
      batch_size: images per step, over all devices.
      seed: of the order and of the binarization, 0 to 2**32 - 1.
      sharding: of `[count, batch]`; `PartitionSpec(None, "data")`.
      device_budget_mib: the largest number of MiB to keep on a device.

    Raises:
      OptionError: the batch is larger than the split or cannot be divided among the devices; the seed is no seed.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        seed: int,
        sharding: NamedSharding,
        device_budget_mib: int,
    ):
        if not 0 <= seed < 2**32:
            raise OptionError("seed", seed, f"0 to {2**32 - 1}")
        devices = sharding.mesh.shape["data"]
        if batch_size not in range(1, len(split) + 1) or batch_size % devices:
            allowed = f"a multiple of the {devices} devices, at most the {len(split)} training images"
            raise OptionError("batch_size", batch_size, allowed)
        self.split, self.batch_size, self.seed, self.sharding = split, batch_size, seed, sharding
        self.steps_per_epoch = len(split) // batch_size
        self.on_device = split.variation is None and split.images.nbytes <= device_budget_mib * 2**20
        self.key = jax.random.fold_in(jax.random.key(seed), BINARIZATION_STREAM)
        self.take, self.binarize = compiled(sharding, split.highest_grey)
        if self.on_device:
            replicated = NamedSharding(sharding.mesh, PartitionSpec())
            self.images = place(split.images, replicated)
            self.labels = place(split.labels, replicated)
        else:
            # Closes over no stream, so that a forgotten stream is collected and its thread ends.
            self.prefetch = Prefetch(partial(gather, split, batch_size, seed, sharding))

    def __call__(self, step: int, count: int = 1) -> Batch:
        """Batches of steps `step` to `step + count - 1`, with leading axes [count, batch_size]."""
        if self.on_device:
            rows = indices(len(self.split), self.batch_size, self.seed, step, count)
            batch = Batch(*self.take(self.images, self.labels, place(rows, self.sharding)))
        else:
            batch = self.prefetch(step, count)
        if not self.split.highest_grey:
            return batch
        return batch._replace(image=self.binarize(self.key, batch.image, np.int32(step)))

    def close(self) -> None:
        """End the background thread, if there is one."""
        if not self.on_device:
            self.prefetch.close()


def indices(n: int, batch_size: int, seed: int, step: int, count: int) -> Int32[np.ndarray, "count batch"]:
    """Rows of `count` batches from `step` on; the last n % batch_size images of each epoch's order are left out."""
    steps_per_epoch = n // batch_size
    rows = np.empty((count, batch_size), np.int32)
    for offset in range(count):
        epoch, place_in_epoch = divmod(step + offset, steps_per_epoch)
        rows[offset] = order(n, seed, epoch)[place_in_epoch * batch_size :][:batch_size]
    return rows


@lru_cache(maxsize=4)
def order(n: int, seed: int, epoch: int) -> Int[np.ndarray, " n"]:
    """The order of an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(n)


def place(array: Shaped[np.ndarray, "..."], sharding: NamedSharding) -> Shaped[Array, "..."]:
    """The same array known to every host, each device given its part."""
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def take(
    images: Integer[Array, "n height width channels"], labels: Int32[Array, " n"], rows: Int32[Array, "count batch"]
) -> tuple[Integer[Array, "count batch height width channels"], Int32[Array, "count batch"]]:
    """The rows' images and labels."""
    return images[rows], labels[rows]


def gather(split: Split, batch_size: int, seed: int, sharding: NamedSharding, step: int, count: int) -> Batch:
    """What `take` gives, each host reading only the rows of its own devices."""
    rows = indices(len(split), batch_size, seed, step, count)

    def parts(array: np.ndarray) -> Array:
        shape = (*rows.shape, *array.shape[1:])
        return jax.make_array_from_callback(shape, sharding, lambda index: array[rows[index[:2]]])

    if split.variation is None:
        return Batch(parts(split.images), parts(split.labels))
    generators = [np.random.default_rng((seed, VARIATION_STREAM, step + offset)) for offset in range(count)]
    varied = [split.varied(of_step, generator) for of_step, generator in zip(rows, generators, strict=True)]
    return Batch(place(np.stack(varied), sharding), parts(split.labels))


@lru_cache
def compiled(sharding: NamedSharding, highest_grey: int) -> tuple[Callable, Callable]:
    """`take` and `binarize`, compiled once for all streams of these devices and grey levels."""
    binarize_grey = partial(binarize, highest=highest_grey)
    return jax.jit(take, out_shardings=(sharding, sharding)), jax.jit(binarize_grey, out_shardings=sharding)
