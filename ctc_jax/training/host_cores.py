"""Lets a training step use every CPU core. Tests: tests/training/test_host_cores.py."""

import os

import jax
import jaxlib.version

from ctc_jax.sums import FUSION_FLAG

DEVICES_FLAG = "--xla_force_host_platform_device_count"

# Images a device at least: with fewer, what a step costs besides them is no longer small.
SHARE = 16


def use_host_cores(devices: int, batch_size: int) -> None:
    """Splits the CPU into devices that share each batch, as several accelerators would.

    XLA's CPU backend runs parts of a step on one thread whatever the cores; split, every part runs on all of them. A
    convolutional network gains (configs/cifar.py); one whose parameters cost as much as its images is slower, because
    each device updates all of them (configs/mnist.py). Benchmark: benchmarks/speed/cpu_devices.py.

    Where a device has several cores, jaxlib 0.10 is kept from handing convolutions to YNNPACK, which runs them on one
    thread; later versions use all by themselves.

    A number of devices that was chosen before, by JAX_NUM_CPU_DEVICES or in XLA_FLAGS, is left alone. Accelerators are
    not touched. To be called before JAX computes anything: afterwards it changes nothing.

    Args:
      devices: how many; 0 is `host_devices`.
      batch_size: images a step.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if DEVICES_FLAG in flags:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jax.config.jax_num_cpu_devices < 0:  # type: ignore[attr-defined]
        devices = max(devices, 1) if devices else host_devices(cores, batch_size)
        try:
            jax.config.update("jax_num_cpu_devices", devices)
        except RuntimeError:  # JAX has computed something already
            return
    else:
        devices = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]
    sums = f"{FUSION_FLAG}=-reduce"
    if devices < cores and jaxlib.version.__version_info__[:2] == (0, 10) and sums in flags.split():
        os.environ["XLA_FLAGS"] = flags.replace(sums, f"{sums},-individual_convolution")


def host_devices(cores: int, batch_size: int) -> int:
    """As many as cores, or the largest power of two below, that divide the batch into shares of at least 16."""
    counts = [cores, *(2**power for power in reversed(range(cores.bit_length())))]
    return next((count for count in counts if batch_size % count == 0 and batch_size >= count * SHARE), 1)
