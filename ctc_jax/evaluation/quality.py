"""Samples of a model beside real images: distances, precision, recall, diversity. Tests: test_quality.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Num, UInt8

from ctc_jax.data import Dataset, Split
from ctc_jax.evaluation.code_draws import CodeDraws, draw_codes
from ctc_jax.evaluation.copying import CORPUS
from ctc_jax.evaluation.diversity import diversity_within_code
from ctc_jax.evaluation.even_rows import even_rows
from ctc_jax.evaluation.features import REGISTRY, FeatureSpace
from ctc_jax.evaluation.frechet import fit_gaussian, frechet_distance
from ctc_jax.evaluation.inception import INCEPTION, inception_space
from ctc_jax.evaluation.neighbors import compare, manifold
from ctc_jax.evaluation.options import EvaluateOptions
from ctc_jax.evaluation.spectrum import radial_spectrum, spectrum_distance_decades
from ctc_jax.models import Model, Params

SEED = 8_001  # of the one drawing of training images that are binarized anew for each batch


@dataclass(frozen=True)
class Reference:
    """What samples are judged by.

    Attributes:
      spaces: feature spaces by name.
      training: images of the training split, which stand for what a perfect model would draw.
      corpus: those that might be copied.
    """

    spaces: Mapping[str, FeatureSpace]
    training: UInt8[np.ndarray, "images height width channels"]
    corpus: UInt8[np.ndarray, "corpus height width channels"]


def build_reference(options: EvaluateOptions, dataset: Dataset, directory: Path) -> Reference | None:
    """The reference that options ask for, None where they ask for none.

    Args:
      options: of evaluation.
      dataset: the run's.
      directory: where prepared data is cached, and a trained classifier with it.

    Raises:
      OptionError: the dataset cannot have it, or the weights named cannot be read.
    """
    options.check_dataset(dataset)
    if not (options.quality_samples or options.copying_samples):
        return None

    def drawn(count: int) -> np.ndarray:
        return dataset.train.draw(even_rows(len(dataset.train), count), np.random.default_rng(SEED))

    spaces = {name: REGISTRY[name](dataset, directory) for name in options.spaces}
    if options.inception_weights:
        spaces[INCEPTION] = inception_space(options.inception_weights)
    return Reference(spaces, drawn(options.quality_samples), drawn(CORPUS if options.copying_samples else 0))


def sample_quality(
    model: Model, params: Params, split: Split, *, samples: int, reference: Reference, levels: int, seed: int
) -> dict[str, int | float]:
    """Samples of the model, means of its likelihood, and training images, each against images of the split.

    Args:
      model: any model.
      params: its parameters.
      split: real images; at most `samples` of them are looked at.
      samples: images drawn, each from a code of its own.
      reference: feature spaces and training images.
      levels: the highest pixel level.
      seed: of the draws.

    Returns:
      For each of `samples`, `means` and `data` (training images): `spectrum_distance_decades/WHICH`, and for each space
      `frechet/SPACE/WHICH`, `precision/...`, `recall/...`, `density/...` and `coverage/...`; `diversity/SPACE/samples`
      and `diversity/SPACE/means`; the spaces' own figures; `quality_samples`.
    """
    drawn = draw_codes(model, params, codes=samples, seed=seed)
    real = split.images[even_rows(len(split), samples)]
    found = {"samples": drawn.samples[0], "means": drawn.means[0], "data": reference.training}
    figures: dict[str, int | float] = {"quality_samples": samples, **_spectra(real, found, levels)}
    for name, space in reference.spaces.items():
        figures |= {**space.figures, **_in_space(name, space, real, found, drawn, levels)}
    return figures


def _spectra(real: np.ndarray, found: Mapping[str, np.ndarray], levels: int) -> dict[str, float]:
    of_real = radial_spectrum(real, levels)
    return {
        f"spectrum_distance_decades/{which}": spectrum_distance_decades(of_real, radial_spectrum(images, levels))
        for which, images in found.items()
    }


def _in_space(
    name: str,
    space: FeatureSpace,
    real: Num[np.ndarray, "images height width channels"],
    found: Mapping[str, np.ndarray],
    drawn: CodeDraws,
    levels: int,
) -> dict[str, float]:
    features = {which: space(images, levels) for which, images in found.items()}
    of_real, numbers = space(real, levels), {}
    gaussian, balls = fit_gaussian(of_real), manifold(of_real)
    for which, of_images in features.items():
        numbers[f"frechet/{name}/{which}"] = frechet_distance(gaussian, fit_gaussian(of_images))
        for measure, value in compare(balls, manifold(of_images)).items():
            numbers[f"{measure}/{name}/{which}"] = value
    for which, draws in drawn._asdict().items():
        again = space(draws[1], levels) if len(draws) > 1 else features[which]
        numbers[f"diversity/{name}/{which}"] = diversity_within_code(features[which], again)
    return numbers
