"""Eight shapes, shifted and changed in contrast, with noise: images whose density is known exactly.

The founding text's dog, and the same dog shifted by a pixel: given the class, sixteen shifts times four contrasts are
equally likely, and a unimodal likelihood answers with their mean. Tests: tests/data/test_shapes.py.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int32, UInt8
from scipy.special import log_ndtr, logsumexp

from ctc_jax.data.places import Places
from ctc_jax.data.source import Arrays, Known, Source

TRAIN, VALIDATION, TEST = 786_432, 4_096, 8_192
CHUNK = 16_384  # images drawn at a time, which bounds the memory
SIDE = 10  # of a drawing
OFFSETS = (0, 2, 4, 6)  # of a drawing's corner, down and to the right, in an image of 16 x 16
SEEDS = {"train": 1_001, "test": 1_002}


@dataclass(frozen=True)
class ShapesDensity:
    """A mixture over classes, shifts and contrasts, all uniform; pixels are independent given these.

    A pixel inside the shape is Gaussian around the contrast, integrated over each integer's bin, the first and last
    bins taking the tails. A pixel outside is exactly 0, or Gaussian around 0 in the same way.

    Attributes:
      templates: True inside the shape, for each class and shift.
      contrasts: levels inside the shape.
      noise: standard deviation in levels.
      noise_outside: whether the background is noisy too.
    """

    templates: Bool[np.ndarray, "classes shifts height width"]
    contrasts: tuple[int, ...] = (64, 112, 160, 208)
    noise: float = 4.0
    noise_outside: bool = False

    def log_prob(
        self, images: UInt8[np.ndarray, "n height width 1"], labels: Int[np.ndarray, " n"] | None = None
    ) -> Float64[np.ndarray, " n"]:
        """Nats per image, by enumeration of shifts and contrasts, and of classes when no labels are given."""
        classes, shifts = self.templates.shape[:2]
        inside = self.templates.reshape(classes * shifts, -1).T.astype(np.float64)
        pixels = images.reshape(len(images), -1)
        if self.noise_outside:
            background = log_mass(0.0, self.noise)[pixels] @ (1 - inside)
        else:
            background = np.where((pixels > 0) @ (1 - inside) > 0, -np.inf, 0.0)
        joint = np.stack([log_mass(float(level), self.noise)[pixels] @ inside for level in self.contrasts], axis=-1)
        joint = (joint + background[..., None]).reshape(len(images), classes, shifts * len(self.contrasts))
        given_class = logsumexp(joint, axis=-1) - np.log(joint.shape[-1])
        if labels is None:
            return logsumexp(given_class, axis=-1) - np.log(classes)
        return given_class[np.arange(len(images)), labels]

    def sample(
        self, generator: np.random.Generator, count: int
    ) -> tuple[UInt8[np.ndarray, "n height width 1"], Int32[np.ndarray, " n"]]:
        """Images and their classes. A rounded and clipped Gaussian has exactly the bins' masses."""
        parts = [self._draw(generator, min(CHUNK, count - start)) for start in range(0, max(count, 1), CHUNK)]
        images, labels = zip(*parts, strict=True)
        return np.concatenate(images), np.concatenate(labels)

    def _draw(self, generator, count):
        classes, shifts = self.templates.shape[:2]
        label = generator.integers(classes, size=count)
        inside = self.templates[label, generator.integers(shifts, size=count)]
        level = np.array(self.contrasts, np.float32)[generator.integers(len(self.contrasts), size=count)]
        image = generator.standard_normal(inside.shape, np.float32)
        image *= self.noise
        image += inside * level[:, None, None]
        np.clip(np.rint(image, out=image), 0, 255, out=image)
        if not self.noise_outside:
            image *= inside
        return image.astype(np.uint8)[..., None], label.astype(np.int32)


def log_mass(mean: float, noise: float) -> Float[np.ndarray, "256"]:
    """Log-probability of each level 0 .. 255 under a Gaussian integrated over the levels' bins, exact in the tails."""
    edges = (np.arange(257) - 0.5 - mean) / noise
    edges[0], edges[-1] = -np.inf, np.inf
    # A bin right of the mean is measured from the right, where its mass is not lost beside 1.
    flip = edges[:-1] > 0
    low, high = np.where(flip, -edges[1:], edges[:-1]), np.where(flip, -edges[:-1], edges[1:])
    return log_ndtr(high) + np.log1p(-np.exp(log_ndtr(low) - log_ndtr(high)))


def drawings() -> Bool[np.ndarray, "8 side side"]:
    """Disk, ring, square, frame, plus, cross, triangle and stripes."""
    row, column = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius, box = np.hypot(row, column), np.maximum(abs(row), abs(column))
    return np.stack(
        [
            radius < 4.8,
            (radius < 5.2) & (radius > 2.8),
            box < 4,
            (box < 5) & (box > 3),
            (np.minimum(abs(row), abs(column)) < 1.5) & (box < 5),
            (abs(abs(row) - abs(column)) < 1.5) & (box < 5),
            (abs(column) < (row + 5.5) / 2) & (box < 5),
            (np.floor(row + 5) % 4 < 2) & (box < 5),
        ]
    )


def density(**changes: object) -> ShapesDensity:
    """The dataset's density; `changes` replace its contrasts or noise."""
    height = SIDE + OFFSETS[-1]
    templates = np.zeros((8, len(OFFSETS) ** 2, height, height), bool)
    for index, (down, right) in enumerate((down, right) for down in OFFSETS for right in OFFSETS):
        templates[:, index, down : down + SIDE, right : right + SIDE] = drawings()
    return ShapesDensity(templates, **changes)


@dataclass(frozen=True)
class Shapes(Source):
    """The dataset; it has no options."""

    known = Known((16, 16, 1), TRAIN + VALIDATION, VALIDATION, classes=8)

    def build(self, places: Places) -> Arrays:
        """Training (validation at its end) and test images, drawn from fixed seeds."""
        del places
        truth = density()
        images, labels = truth.sample(np.random.default_rng(SEEDS["train"]), TRAIN + VALIDATION)
        test_images, test_labels = truth.sample(np.random.default_rng(SEEDS["test"]), TEST)
        return Arrays(
            images,
            labels,
            test_images,
            test_labels,
            classes=8,
            origin="drawn from its own density",
            validation=VALIDATION,
            log_prob=truth.log_prob,
        )
