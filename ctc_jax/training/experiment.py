"""From a config to the plain objects of an experiment. Tests: tests/training/test_experiment.py."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh
from jax.typing import DTypeLike

from ctc_jax import data, evaluation, gradients, inference, likelihoods, models, objectives, posteriors, reporting
from ctc_jax.data import BatchStream, Dataset
from ctc_jax.errors import ConfigError, choose
from ctc_jax.evaluation import EvaluateOptions
from ctc_jax.gradients import Nested, Score
from ctc_jax.models import ImageSpace, Model, Setting
from ctc_jax.objectives import Elbo
from ctc_jax.options import OptionError, at
from ctc_jax.reporting import ReportOptions
from ctc_jax.training import optimizer
from ctc_jax.training.compiled_step import CompiledStep
from ctc_jax.training.mesh import batch_sharding, check_batch_size, data_mesh
from ctc_jax.training.options import SECTION as TRAIN
from ctc_jax.training.options import TrainOptions
from ctc_jax.training.sharding import RULES, Rule, by_size, state_sharding
from ctc_jax.training.skipping import Skipping
from ctc_jax.training.step import TrainState, TrainStep

# Steps in one dispatch: XLA's CPU backend runs convolutions slowly inside a scan, accelerators idle without one.
STEPS_PER_CALL = {"cpu": 1}
STEPS_PER_CALL_ACCELERATOR = 50

SEEDS = 2**32  # JAX takes a larger seed modulo this, without a word


@dataclass(frozen=True)
class Experiment:
    """What a config describes, ready to run.

    Attributes:
      seed: of everything random.
      train: how it is trained.
      evaluate: what is measured on the way.
      report: what is written.
      dataset: its images.
      space: what the model knows of them.
      model: the model with its likelihood.
      step: the training step.
      stream: training batches as a function of the step.
      mesh: the devices.
      steps_per_call: steps in one dispatch.
      rules: of `state_sharding`.
    """

    seed: int
    train: TrainOptions
    evaluate: EvaluateOptions
    report: ReportOptions
    dataset: Dataset
    space: ImageSpace
    model: Model
    step: TrainStep
    stream: BatchStream
    mesh: Mesh
    steps_per_call: int
    rules: tuple[tuple[str, Rule], ...] = RULES

    @cached_property
    def abstract_state(self) -> TrainState:
        """Shapes and types of the training state."""
        return jax.eval_shape(self.step.init)

    @cached_property
    def compiled_step(self) -> CompiledStep:
        """The steps, compiled as they are asked for."""
        return CompiledStep(self.step, self.sharding)

    @cached_property
    def sharding(self) -> TrainState:
        """Where the arrays of the training state live: what starts, steps and restores it keeps to this."""
        return state_sharding(self.abstract_state, self.mesh, self.rules)


def build(config: ml_collections.ConfigDict, mesh: Mesh | None = None, dataset: Dataset | None = None) -> Experiment:
    """Checks the whole config and builds everything it names; nothing is written but cached data.

    Args:
      config: of the shape of configs/base.py.
      mesh: devices to run on; all of them when None.
      dataset: in place of the one that the config names.

    Raises:
      ConfigError: a value that does not fit, by its key.
      UserError: the data cannot be had.
    """
    mesh = data_mesh() if mesh is None else mesh
    # All that can be checked without the data, which may take minutes to fetch.
    if not 0 <= config.seed < SEEDS:
        raise ConfigError("seed", config.seed, f"a whole number, 0 or more, below {SEEDS:,}")
    train, report = TRAIN.read_shared(config.train), reporting.SECTION.read_shared(config.report)
    evaluation.read_options(config.evaluate)
    inference.SECTION.read(config.get("inference", {}))
    objectives.SECTION.read(config.objective)
    check_batch_size(train.batch_size, mesh.size)
    part, _ = models.SECTION.read(config.model)
    likelihoods.SECTION.read(config.likelihood)
    dataset = data.build(config.data) if dataset is None else dataset
    space = image_space(dataset, mean=part.needs_mean)
    model = build_model(config, space)
    evaluate = evaluation.read_options(config.evaluate, dataset, model)
    step = build_step(config, model, len(dataset.train))
    try:
        stream = BatchStream(
            dataset.train,
            batch_size=train.batch_size,
            seed=config.seed,
            sharding=batch_sharding(mesh),
            device_budget_mib=config.data.device_budget_mib,
        )
    except OptionError as error:
        key = "train.batch_size" if error.name == "batch_size" else error.name
        raise ConfigError(key, error.found, error.allowed) from None
    chosen = train.steps_per_call or STEPS_PER_CALL.get(jax.default_backend(), STEPS_PER_CALL_ACCELERATOR)
    rules = ((".*", by_size(train.shard_above)),) if train.shard_above else RULES
    return Experiment(config.seed, train, evaluate, report, dataset, space, model, step, stream, mesh, chosen, rules)


def build_model(config: ml_collections.ConfigDict, space: ImageSpace) -> Model:
    """The model of a config on images of a stated shape, with the estimator of the gradient through its masks.

    Raises:
      ConfigError: a value that does not fit, by its key.
    """
    train = TRAIN.read_shared(config.train)
    setting = Setting(
        likelihood=likelihoods.build(
            config.likelihood, shape=space.shape, bits=space.bits, features=config.model.features
        ),
        posterior=posteriors.build(config.posterior),
        space=space,
        dtype=compute_dtype(train.compute_dtype),
        convolution_dtype=jnp.float32 if train.float32_convolutions else None,
    )
    model = models.build(config.model, setting)
    return dataclasses.replace(model, estimator=gradients.build(config.estimator, model.mask_sites))  # type: ignore[return-value]


def build_step(config: ml_collections.ConfigDict, model: Model, images: int = 0) -> TrainStep:
    """The training step of a config on its model.

    Args:
      config: the whole one.
      model: what is trained.
      images: in the training part, for draws of parameters given them.

    Raises:
      ConfigError: a value that does not fit, by its key.
    """
    train, objective = TRAIN.read_shared(config.train), objectives.build(config.objective)
    free_nats = isinstance(objective, Elbo) and objective.free_nats
    if free_nats and any(site.coupled for site in model.mask_sites) and isinstance(model.estimator, Score | Nested):  # type: ignore[attr-defined]
        allowed = f"0 with estimator.name {config.estimator.name}: it rewards masks by the whole KL of the levels below"
        raise ConfigError("objective.elbo.free_nats", free_nats, allowed)
    try:
        objective.check_model(model)
    except OptionError as error:
        own = error.name in {field.name for field in dataclasses.fields(objective)}
        raise at(f"objective.{config.objective.name}" if own else "objective", error) from None
    chosen = optimizer.build(train, images=images, seed=config.seed)
    skipping = Skipping(train.skip_factor) if train.skip_factor else None
    return TrainStep(model, objective, chosen, config.seed, train.ema_decay, train.accumulate, skipping)


def image_space(dataset: Dataset, *, mean: bool = False) -> ImageSpace:
    """What a model must know of a dataset.

    Args:
      dataset: its training images give the mean image.
      mean: whether to compute it.
    """
    space = ImageSpace(tuple(dataset.image_shape), dataset.bits, dataset.classes)
    return space._replace(mean=tuple(np.round(dataset.mean_image.ravel(), 7).tolist())) if mean else space


def compute_dtype(name: str) -> DTypeLike:
    """The network's compute type; "auto" is bfloat16 on accelerators and float32 on CPU, which lacks it.

    Raises:
      ConfigError: another name.
    """
    automatic = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    names = {"auto": automatic, "float32": jnp.float32, "bfloat16": jnp.bfloat16}
    return choose(names, name, "train.compute_dtype")
