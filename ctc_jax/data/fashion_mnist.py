"""Fashion-MNIST: 28x28 grey pictures of clothes (Xiao et al. 2017). Tests: tests/data/test_idx.py."""

from dataclasses import dataclass
from pathlib import Path

from ctc_jax.data import prepared
from ctc_jax.data.figures import Figures
from ctc_jax.data.idx import read_dataset
from ctc_jax.data.packages import debian_package
from ctc_jax.data.places import Places
from ctc_jax.data.source import Arrays, Known, Source, Unavailable, first_of

DEBIAN = "dataset-fashion-mnist"
INSTALLED = Path("usr/share/datasets/fashion-mnist")
VALIDATION = 10_000
FIGURES = Figures(train=60_000, test=10_000, shape=(28, 28, 1), mean=(0.28604060,), std=(0.35302424,))
CHECKSUMS = (
    "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "9018921c3c673c538a1fc5bad174d6f9",
    "8181f5470baa50b63fa0f6fddb340f0a",
    "15d484375f8d13e6eb1aabb0c3f46965",
)


@dataclass(frozen=True)
class FashionMnist(Source):
    """The published order, except from TFDS, which shuffles it."""

    known = Known(FIGURES.shape, FIGURES.train, VALIDATION, classes=10)

    def build(self, places: Places) -> Arrays:
        """From the first source that can be reached; raises `UserError` where none can."""
        name = "fashion_mnist"
        ways = {
            "a prepared TFDS dataset": lambda places: FIGURES.check(prepared.read(places, name, VALIDATION)),
            f"the installed Debian package {DEBIAN}": lambda places: FIGURES.check(load_installed(Path("/"))),
            f"apt-get download {DEBIAN}": lambda places: FIGURES.check(load_debian()),
            "preparing it with TFDS": lambda places: FIGURES.check(prepared.prepare(places, name, VALIDATION)),
        }
        return first_of(name, places, ways, "")

    def cache_name(self, places: Places) -> str:
        """One name: whatever the source, its figures are checked."""
        del places
        return "fashion_mnist"


def load_debian() -> Arrays:
    """From the package, unpacked for the moment."""
    with debian_package(DEBIAN) as root:
        return load_installed(root)


def load_installed(root: Path) -> Arrays:
    """From the package's files under `root`."""
    if not (root / INSTALLED).is_dir():
        raise Unavailable(f"no {root / INSTALLED}")
    return read_dataset(root / INSTALLED, CHECKSUMS, f"Debian package {DEBIAN}", VALIDATION)
