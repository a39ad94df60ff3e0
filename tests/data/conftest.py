import dataclasses
from pathlib import Path

import pytest

from ctc_jax.data.source import Source


@dataclasses.dataclass
class DataConfig:
    """The config's `data` section with folders of the test's own."""

    directory: Path
    tfds_directory: Path
    name: str = "npz"
    path: str = ""
    validation: int = -1
    bits: int = 8
    binarization: str = "none"
    image_size: int = 0
    device_budget_mib: int = 1


@pytest.fixture
def data_config(tmp_path):
    def make(**changes):
        return DataConfig(tmp_path / "cache", tmp_path / "prepared", **changes)

    return make


@pytest.fixture
def source(tmp_path):
    def make(path="", image_size=0):
        return Source(str(path), tmp_path / "cache", tmp_path / "prepared", image_size)

    return make
