"""A trained run in a notebook: `ctc_jax.load(workdir)`. Tests: tests/test_run.py."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from jaxtyping import Float, Integer

from ctc_jax import arguments, data, evaluation, inference, runs, training
from ctc_jax.data import Dataset, Split
from ctc_jax.errors import UserError
from ctc_jax.models import ImageSpace, Latents, Model, Params
from ctc_jax.reporting import read_history
from ctc_jax.saved_run import build_saved, check_data, read_images
from ctc_jax.training.checkpoint import Checkpoints
from ctc_jax.training.mesh import data_mesh, replicated

# What a user hands over is checked at run time, in words.
Images = Any
Labels = Any


@dataclass(frozen=True, repr=False)
class Run:
    """A trained run.

    Images are integer levels [batch, height, width, channels], as the run's data has them. Where the model is
    conditional on a class, give the labels [batch]; elsewhere they are not looked at.

    Attributes:
      workdir: its directory.
      config: its whole config.
      step: steps of training behind `params`.
      params: the parameters, averaged ones where the config asks for them.
      model: answers `infer`, `joint`, `generate` and `decode` with `params`.
      space: shape, bits and classes of its images, and what else the model knows of them.
      history: the lines of metrics.jsonl.
      fingerprint: of the data it was trained on, as `Dataset.fingerprint`.
      known_dataset: its data, where whoever made it has them already.
    """

    workdir: Path
    config: ml_collections.ConfigDict
    step: int
    params: Params
    model: Model
    space: ImageSpace
    history: list[dict[str, Any]]
    fingerprint: str
    known_dataset: Dataset | None = None

    def __repr__(self) -> str:
        config, (height, width, channels) = self.config, self.space.shape
        size = sum(leaf.size for leaf in jax.tree.leaves(self.params))
        return (
            f"Run({str(self.workdir)!r}): step {self.step:,}, {size:,} parameters\n"
            f"{config.model.name} with {config.likelihood.name} pixels on {config.data.name}, "
            f"images {height} x {width} x {channels} of {self.space.bits} bits"
        )

    def __reduce__(self):
        # A model holds functions of modules, which are not copied but built again from the config.
        params = jax.tree.map(np.asarray, self.params)
        state = (self.step, params, self.space, self.history, self.fingerprint)
        return _rebuilt, (self.workdir, self.config.to_dict(), *state)

    @cached_property
    def dataset(self) -> Dataset:
        """The run's data, loaded when first asked for; a warning says where they are not those it was trained on.

        Raises:
          UserError: they cannot be had, or are of another shape.
        """
        if self.known_dataset is not None:
            return self.known_dataset
        dataset = data.build(self.config.data)
        check_data(self.space, self.fingerprint, dataset)
        return dataset

    def sample(self, key: Any, n: Any) -> Integer[np.ndarray, "n height width channels"]:
        """`n` images of the model, integer levels."""
        key, n = arguments.random_key(key), arguments.count("n", n)
        return np.asarray(evaluation.sample_images(self.model, self.params, key, n))

    def reconstruct(
        self, images: Images, labels: Labels | None = None, *, key: Any = None
    ) -> Float[np.ndarray, "batch height width channels"]:
        """The likelihood's mean, in levels, at one latent of the recognition model for each image."""
        key = jax.random.key(self.config.seed) if key is None else arguments.random_key(key)
        return np.asarray(
            evaluation.reconstruct_images(self.model, self.params, key, arguments.batch(self.space, images, labels))
        )

    def encode(self, images: Images, labels: Labels | None = None) -> dict[str, Float[np.ndarray, "batch units"]]:
        """The mean of the recognition model, E_q[z|x], of each layer."""
        batch = arguments.batch(self.space, images, labels)
        return jax.tree.map(np.asarray, evaluation.posterior_means(self.model, self.params, batch))

    def decode(self, latents: Any):
        """The distribution on pixels given latents, with `log_prob`, `sample`, `mean` and `mode`.

        Args:
          latents: by name, each a `Masked`, or an array such as `encode` gives: the product of mask and value.
        """
        return _decode(self.model, self.params, arguments.latents(self.model, self.params, latents))

    def log_likelihood(
        self, images: Images, labels: Labels | None = None, *, importance_samples: Any = None
    ) -> Float[np.ndarray, " batch"]:
        """The importance-weighted bound of each image, nats; `evaluate.importance_samples` unless told."""
        batch = arguments.batch(self.space, images, labels)
        options = evaluation.read_options(self.config.evaluate)
        samples = options.importance_samples if importance_samples is None else importance_samples
        split = Split(np.asarray(batch.image, np.uint8), np.asarray(batch.label, np.int32))
        return evaluation.evaluate_importance(
            self.model,
            self.params,
            split,
            samples=arguments.count("importance_samples", samples),
            batch_size=min(options.batch_size, len(split)),
            seed=self.config.seed,
        )

    def infer(
        self, images: Images, labels: Labels | None = None, *, method: str = "", key: Any = None, **options: Any
    ) -> inference.Inferred:
        """Latents of images beyond the recognition model: improved by descent, or sampled by Markov chains.

        Args:
          images: integer levels.
          labels: of a class-conditional model.
          method: "descent", "langevin", "mala" or "hmc"; `inference.name` of the config unless told.
          key: of starts and moves; of the run's seed unless told.
          options: as the keys `inference.*` and those of the method, in place of the config's: `chains`, `warmup`,
            `draws`, `windows`, `step_size`.

        Raises:
          UserError: an unknown method or option, a model whose latents are all given, or chains that diverged.
        """
        batch = arguments.batch(self.space, images, labels)
        section = dict(self.config.get("inference", {}))
        name = method or section.get("name", inference.SECTION.default)
        shared = {field.name for field in dataclasses.fields(inference.SECTION.shared)} & set(options)
        section |= {"name": name, **{option: options.pop(option) for option in shared}}
        part, shared = inference.SECTION.read({**section, name: {**section.get(name, {}), **options}})
        key = jax.random.key(self.config.seed) if key is None else arguments.random_key(key)
        return inference.infer(self.model, self.params, key, batch, part, shared)

    def gap(self, images: Images, labels: Labels | None = None, *, key: Any = None, **options: Any) -> evaluation.Gap:
        """How far the ELBO of each image is from log p(x), and what of it the family and the recognition model lose.

        Args:
          images: integer levels.
          labels: of a class-conditional model.
          key: of everything drawn; of the run's seed unless told.
          options: as the keys `evaluate.gap_steps`, `evaluate.gap_learning_rate`, `evaluate.importance_samples` and
            `evaluate.annealed_...`, in place of the config's.

        Raises:
          UserError: an unknown option, or a model without a recognition model.
        """
        batch = arguments.batch(self.space, images, labels)
        key = jax.random.key(self.config.seed) if key is None else arguments.random_key(key)
        section = evaluation.read_options({**self.config.evaluate.to_dict(), **options})
        return evaluation.gap(self.model, self.params, key, batch, **section.gap)

    def calibration(self, images: Any = 1_000, *, key: Any = None) -> evaluation.Calibration:
        """Ranks of the model's own latents among draws of q(z|x): even where it is the posterior.

        Args:
          images: of the model, how many; at least 10.
          key: of everything drawn; of the run's seed unless told.

        Raises:
          UserError: too few images, or a model without a recognition model.
        """
        key = jax.random.key(self.config.seed) if key is None else arguments.random_key(key)
        checked = {**self.config.evaluate.to_dict(), "calibration_images": arguments.count("images", images)}
        evaluation.read_options(checked, model=self.model)
        return evaluation.calibration(self.model, self.params, key, images)

    def evaluate(self, config: Any = None, *, pictures: Path | None = None) -> dict[str, float]:
        """Every number of the test set; of inference with the method that the run's config names.

        Args:
          config: replaces the run's own section `evaluate`.
          pictures: the directory that gets the pictures of what is measured, None for no pictures.
        """
        options = evaluation.read_options(self.config.evaluate if config is None else config, self.dataset, self.model)
        directory = data.places(self.config.data).directory
        return evaluation.evaluate(
            self.model,
            self.params,
            self.dataset.test,
            options,
            levels=2**self.space.bits - 1,
            seed=self.config.seed,
            sharding=replicated(data_mesh()),
            reference=evaluation.build_reference(options, self.dataset, directory),
            method=inference.SECTION.read(self.config.get("inference", {})),
            pictures=pictures,
        )


# Compiled once for each model and shape, whichever run asks: the model is a static argument.
@partial(jax.jit, static_argnums=0)
def _decode(model: Model, params: Params, latents: Latents):
    return model.decode(params, latents)


def _rebuilt(workdir: Path, config: dict[str, Any], step: int, params: Params, space: ImageSpace, *rest: Any) -> Run:
    config = ml_collections.ConfigDict(config)
    params = jax.device_put(params, replicated(data_mesh()))
    return Run(workdir, config, step, params, training.build_model(config, space), space, *rest)


def load(workdir: str | Path, step: str | int = "best") -> Run:
    """A trained run, from any machine and any number of devices.

    Args:
      workdir: the directory of a run.
      step: "best" (lowest validation bound), "latest" or the number of a saved step.

    Raises:
      UserError: there is no run, no such checkpoint, or none that can be read.
    """
    workdir = runs.expand(workdir)
    saved = runs.read_config(workdir)
    space, fingerprint = read_images(workdir)
    config, model, initial = build_saved(workdir, saved, space)
    checkpoints = Checkpoints(workdir / "checkpoints")
    try:
        restored = checkpoints.restore(initial, replicated(data_mesh()), step)
    finally:
        checkpoints.close()
    if restored is None:
        raise UserError(f"no checkpoint in {workdir} yet")
    state = restored.state
    history = read_history(workdir)
    return Run(workdir, config, int(state.step), state.evaluated, model, space, history, fingerprint)
