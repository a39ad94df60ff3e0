"""Devices as one mesh: batches split over axis "data", parameters copied. Tests: tests/training/test_mesh.py."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ctc_jax.errors import ConfigError


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """All devices (or those given) along "data"."""
    devices = jax.devices() if devices is None else devices
    # Auto axes: linen modules with random layers fail under the Explicit ones that are the default.
    return Mesh(np.asarray(devices), ("data",), axis_types=(AxisType.Auto,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Arrays [steps, batch, ...], the batch split over the devices."""
    return NamedSharding(mesh, PartitionSpec(None, "data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """Arrays that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def check_batch_size(batch_size: int, devices: int) -> None:
    """Refuses a batch that the devices cannot share equally.

    Raises:
      ConfigError: `batch_size` is below 1 or no multiple of `devices`.
    """
    if batch_size < 1 or batch_size % devices:
        raise ConfigError("train.batch_size", batch_size, f"a multiple of the number of devices, {devices}")
