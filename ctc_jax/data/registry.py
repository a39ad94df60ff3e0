"""Datasets by name. Tests: tests/data/test_build.py."""

from ctc_jax.data.cifar10 import Cifar10
from ctc_jax.data.fashion_mnist import FashionMnist
from ctc_jax.data.folder import Folder
from ctc_jax.data.mnist import Mnist
from ctc_jax.data.npz import Npz
from ctc_jax.data.prepared import Tfds
from ctc_jax.data.shapes import Shapes
from ctc_jax.data.source import Source
from ctc_jax.data.static_mnist import StaticMnist

REGISTRY: dict[str, type[Source]] = {
    "shapes": Shapes,
    "cifar10": Cifar10,
    "mnist": Mnist,
    "static_mnist": StaticMnist,
    "fashion_mnist": FashionMnist,
    "tfds": Tfds,
    "folder": Folder,
    "npz": Npz,
}
