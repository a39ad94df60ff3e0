"""The section `evaluate` of a config. Tests: tests/evaluation/test_options.py."""

from dataclasses import dataclass
from typing import Any

import jax

from ctc_jax.data import Dataset
from ctc_jax.errors import nearest
from ctc_jax.evaluation.calibration import LEAST as FEWEST
from ctc_jax.evaluation.features import CLASSIFIER, REGISTRY
from ctc_jax.evaluation.gap import NOTHING, recognition_leaves
from ctc_jax.evaluation.inception import read_weights
from ctc_jax.evaluation.neighbors import NEIGHBORS
from ctc_jax.inference import ALLOWED, AnnealingOptions, unserved
from ctc_jax.models import Model
from ctc_jax.options import ConfigSection, OptionError, Options, Section, at, option

INFERENCE_IMAGES = 16  # where a method is named and their number is not
LEAST = NEIGHBORS + 1  # of a set in which each image has its neighbors


@dataclass(frozen=True)
class EvaluateOptions(Options):
    """Numbers about a trained model."""

    importance_samples: int = option(100, "K of the importance-weighted bound; memory does not grow", at_least=1)
    batch_size: int = option(100, "images per device call", at_least=1)
    latents: int = option(256, "drawn from the prior for sharpness and the multimodality gap", at_least=1)
    likelihood_samples: int = option(8, "images drawn from each of these latents", at_least=1)
    annealed_images: int = option(
        0,
        "whose log p(x) is found by annealed importance sampling, and as many of the model's own; 0 is off",
        at_least=0,
    )
    annealed_temperatures: int = option(1_000, "densities between p(z) and p(x, z)", at_least=1)
    annealed_chains: int = option(16, "of an image", at_least=1)
    annealed_leapfrogs: int = option(10, "steps of a transition", at_least=1)
    annealed_step_size: float = option(
        0.1, "of a leapfrog step, where tuning starts, or as it is where nothing is tuned", above=0
    )
    annealed_tuned: bool = option(True, "whether each temperature and image has a step size of its own")
    annealed_windows: int = option(
        16,
        "whose masks a transition draws again, for an evaluation of the model per other alternative; 0 is all",
        at_least=0,
    )
    gap_images: int = option(
        0,
        "whose log p(x) - ELBO is parted into what the family of q and what amortization loses; 0 is off",
        at_least=0,
    )
    gap_steps: int = option(500, "by which q is fitted to each of these images alone", at_least=1)
    gap_learning_rate: float = option(1e-3, "of the first of these steps; it falls to 0 along a cosine", above=0)
    inference_images: int = option(
        0,
        "whose latents the method inference.name improves or samples; 0 is off, and naming an inference key on the "
        f"command line makes it {INFERENCE_IMAGES}",
        at_least=0,
    )
    calibration_images: int = option(
        0,
        f"of the model, by which q(z|x) is held against the posterior, and test images, by which against the prior; "
        f"0 is off, else {FEWEST} or more, often 1,000",
        at_least=0,
    )
    quality_samples: int = option(
        0, f"drawn to be compared with as many real images; 0 is off, else {LEAST} or more, often 10,000"
    )
    copying_samples: int = option(
        0, "whose nearest training images are found, and as many test images beside them; 0 is off", at_least=0
    )
    features: str = option(
        ",".join(REGISTRY), f"spaces they are compared in, separated by commas: {', '.join(REGISTRY)}"
    )

    inception_weights: str = option(
        "", "file with the weights of Inception-v3, an .npz (docs/metrics.md), for a further space named inception"
    )

    @property
    def spaces(self) -> list[str]:
        """Names of the feature spaces, each once."""
        return list(dict.fromkeys(name.strip() for name in self.features.split(",")))

    @property
    def annealing(self) -> AnnealingOptions:
        """What annealed importance sampling takes of these."""
        return AnnealingOptions(
            temperatures=self.annealed_temperatures,
            chains=self.annealed_chains,
            leapfrogs=self.annealed_leapfrogs,
            step_size=self.annealed_step_size,
            tuned=self.annealed_tuned,
            windows=self.annealed_windows,
        )

    @property
    def gap(self) -> dict[str, Any]:
        """What `gap` takes of these."""
        return {
            "steps": self.gap_steps,
            "learning_rate": self.gap_learning_rate,
            "samples": self.importance_samples,
            "annealing": self.annealing,
        }

    def check(self) -> None:
        """Refuses samples too few to have neighbors or histograms, and spaces that do not exist."""
        if 0 < self.calibration_images < FEWEST:
            raise OptionError("calibration_images", self.calibration_images, f"0 (off), or {FEWEST} or more")
        if self.quality_samples and self.quality_samples < LEAST:
            raise OptionError("quality_samples", self.quality_samples, f"0 (off), or {LEAST} or more")
        for name in self.spaces:
            if name not in REGISTRY:
                raise OptionError("features", name, ", ".join(sorted(REGISTRY)) + nearest(name, REGISTRY))

    def check_dataset(self, dataset: Dataset) -> None:
        """Refuses measures of sample quality that cannot be had.

        Raises:
          OptionError: the dataset has no labels for a classifier, or too few images; the weights named cannot be read.
        """
        if not (self.quality_samples or self.copying_samples):
            return
        if self.inception_weights:
            read_weights(self.inception_weights)
        if CLASSIFIER in self.spaces and dataset.classes < 2:
            others = ", ".join(name for name in REGISTRY if name != CLASSIFIER)
            allowed = f"{others}; {dataset.name} has no labels for a classifier"
            raise OptionError("features", self.features, allowed)
        if self.quality_samples and min(len(dataset.train), len(dataset.test)) < LEAST:
            allowed = f"0 with fewer than {LEAST} training or test images"
            raise OptionError("quality_samples", self.quality_samples, allowed)

    def check_model(self, model: Model | None) -> None:
        """Refuses what a model cannot have.

        Raises:
          OptionError: inference or annealed importance sampling of a model whose latents are all given with the image;
            the gap or the calibration of one without recognition model.
        """
        moved = {name: getattr(self, name) for name in ("annealed_images", "inference_images")}
        fitted = {name: getattr(self, name) for name in ("gap_images", "calibration_images")}
        if model is None or not any([*moved.values(), *fitted.values()]):
            return
        params = jax.eval_shape(model.init, jax.random.key(0))
        for name, count in moved.items():
            if count and (why := unserved(model, params)):
                raise OptionError(name, count, f"0: {why}; it takes {ALLOWED}")
        for name, count in fitted.items():
            if count and not any(recognition_leaves(model, params)):
                raise OptionError(name, count, f"0: {NOTHING}")


SECTION = Section("evaluate", shared=EvaluateOptions)


def read_options(config: ConfigSection, dataset: Dataset | None = None, model: Model | None = None) -> EvaluateOptions:
    """The options of the section `evaluate`, for a dataset and a model where they are given.

    Raises:
      ConfigError: a value does not fit, by its key.
    """
    options = SECTION.read_shared(config)
    try:
        if dataset is not None:
            options.check_dataset(dataset)
        options.check_model(model)
        return options
    except OptionError as error:
        raise at("evaluate", error) from None
