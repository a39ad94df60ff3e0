"""Every experiment in configs/, with each of its presets, against the base config and the registries."""

import importlib
import re
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import optuna
import pytest

from configs import base
from ctc_jax import data, gradients, likelihoods, models, objectives, posteriors, training
from ctc_jax.errors import ConfigError, UserError
from ctc_jax.layers import activation
from ctc_jax.models import ImageSpace
from ctc_jax.options import flatten
from ctc_jax.sweeps.expand import checked, load_sweep
from ctc_jax.training import optimizer
from ctc_jax.training.options import SECTION as TRAIN

ROOT = Path(__file__).parents[1]
KEYS = flatten(base.get_config().to_dict())
REGISTRIES = {
    "data.name": data.REGISTRY,
    "model.name": models.REGISTRY,
    "model.activation": activation.REGISTRY,
    "likelihood.name": likelihoods.REGISTRY,
    "posterior.name": posteriors.REGISTRY,
    "estimator.name": gradients.REGISTRY,
    "objective.name": objectives.REGISTRY,
    "train.optimizer": optimizer.OPTIMIZERS,
    "train.schedule": optimizer.SCHEDULES,
}
SHAPES = {
    "shapes": (16, 16, 1),
    "cifar10": (32, 32, 3),
    "mnist": (28, 28, 1),
    "static_mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
}
CLASSES = {"shapes": 8}
BINARY = {"static_mnist"}


def experiments() -> dict:
    """Modules with `get_config`, by file name; the others hold what experiments share."""
    stems = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
    modules = {stem: importlib.import_module(f"configs.{stem}") for stem in stems if stem != "base"}
    return {stem: module for stem, module in modules.items() if hasattr(module, "get_config")}


def presets(module) -> list[str]:
    """What an experiment hands to `base.experiment` as presets, and "" for none."""
    seen, original = [""], base.experiment

    def spy(changes, *, presets=None, preset=""):
        seen.extend(presets or {})
        return original(changes, presets=presets, preset=preset)

    base.experiment = spy
    try:
        module.get_config()
    finally:
        base.experiment = original
    return seen


EXPERIMENTS = experiments()
CASES = [(stem, preset) for stem, module in EXPERIMENTS.items() for preset in presets(module)]


def test_the_experiments_of_the_main_job_are_there():
    assert {
        "shapes_ctc",
        "mnist_bernoulli",
        "mnist_ctc",
        "mnist_bernoulli_latents",
        "mnist_hierarchy",
        "mnist_categorical_latents",
        "mnist_ctc_latents",
        "fashion_gaussian",
        "fashion_ctc",
        "cifar_gaussian",
        "cifar_logistic",
        "cifar_categorical",
        "cifar_ctc",
    } <= set(EXPERIMENTS)


@pytest.mark.parametrize(("stem", "preset"), CASES)
def test_an_experiment_has_the_keys_and_types_of_the_base_and_registered_names(stem, preset):
    config = flatten(EXPERIMENTS[stem].get_config(preset).to_dict())
    assert config.keys() == KEYS.keys()
    assert {key: type(value) for key, value in config.items()} == {key: type(value) for key, value in KEYS.items()}
    for key, registry in REGISTRIES.items():
        assert config[key] in registry, key


@pytest.mark.parametrize(("stem", "preset"), CASES)
def test_an_experiment_builds_its_model_and_its_likelihood_spans_the_image(stem, preset):
    config = EXPERIMENTS[stem].get_config(preset)
    if config.data.name not in SHAPES:
        pytest.skip(f"the shape of {config.data.name} is not known without its data")
    shape = (config.data.canvas,) * 2 + (1,) if config.data.canvas else SHAPES[config.data.name]
    bits = 1 if config.data.binarization != "none" or config.data.name in BINARY else config.data.bits
    model = training.build_model(config, ImageSpace(shape, bits, CLASSES.get(config.data.name, 10)))
    training.build_step(config, model, images=1)
    likelihood = likelihoods.build(config.likelihood, shape=shape, bits=bits, features=config.model.features)
    features = jnp.zeros((2, *shape[:2], config.model.features))
    pixels = jax.eval_shape(lambda: likelihood.init_with_output(jax.random.key(0), features)[0])
    assert (pixels.batch_shape, pixels.event_shape) == ((2,), shape)


@pytest.mark.parametrize("stem", EXPERIMENTS)
def test_an_experiment_file_is_short_and_says_how_to_run_it_and_its_presets(stem):
    lines = (ROOT / "configs" / f"{stem}.py").read_text().splitlines()
    assert len(lines) <= 40
    for preset in presets(EXPERIMENTS[stem]):
        command = f"python launch.py --config=configs/{stem}.py" + (f":{preset}" if preset else "")
        assert re.search(rf"^ *{re.escape(command)}(?![:\w])", EXPERIMENTS[stem].__doc__, re.MULTILINE), command


def test_an_unknown_preset_and_an_unknown_key_are_refused():
    with pytest.raises(UserError, match="'gpu' does not exist; this experiment has presets cpu, flat, flat_cpu"):
        EXPERIMENTS["cifar_ctc"].get_config("gpu")
    with pytest.raises(UserError, match="has no presets"):
        EXPERIMENTS["mnist_ctc"].get_config("cpu")
    with pytest.raises(ConfigError, match=r"train\.stpes"):
        base.experiment({"train.stpes": 1})


def test_every_key_of_the_base_is_read_by_the_package():
    source = "\n".join(path.read_text() for path in (ROOT / "ctc_jax").rglob("*.py"))
    unread = [key for key in KEYS if not re.search(rf'\.{key.split(".")[-1]}\b|"{key.split(".")[-1]}"', source)]
    assert not unread


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "searches").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_search_has_its_command_and_suggests_what_its_config_takes(path):
    names = runpy.run_path(str(path))
    (experiment,) = re.findall(rf"--config=configs/(\w+)\.py --search=configs/searches/{path.name}", names["__doc__"])
    config = importlib.import_module(f"configs.{experiment}").get_config()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        overrides = checked(names["suggest"](study.ask()), flatten(config.to_dict()))
        changed = config.copy_and_resolve_references()
        changed.update_from_flattened_dict(overrides)
        TRAIN.read_shared(changed.train)


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "sweeps").glob("*.py")), ids=lambda path: path.stem)
def test_a_sweep_changes_keys_that_exist_and_says_how_to_run_it(path):
    command = rf"--config=configs/(\w+)\.py(?::(\w+))? --sweep=configs/sweeps/{path.name}"
    experiment, preset = re.search(command, path.read_text()).groups()
    assert load_sweep(str(path), EXPERIMENTS[experiment].get_config(preset or "")).trials
