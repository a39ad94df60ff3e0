import jax
import numpy as np
import pytest

from configs import base, mnist_categorical_latents, mnist_hierarchy
from ctc_jax import data, training
from ctc_jax.cli import modes
from ctc_jax.errors import ConfigError
from tests.test_configs import BINARY, CLASSES, EXPERIMENTS, SHAPES, presets

BATCH, PIXELS, NUMBERS = 8, 28 * 28, 20 * 10


@pytest.fixture(autouse=True)
def nothing_fetched(monkeypatch):
    def build(*_):
        raise AssertionError("data were looked for")

    for source in data.REGISTRY.values():
        monkeypatch.setattr(source, "build", build)


def linear(**changes):
    config = mnist_categorical_latents.get_config()
    config.update_from_flattened_dict({"train.batch_size": BATCH, **changes})
    return config


def test_a_linear_network_is_counted_by_hand():
    """Of leave-one-out with two masks, which have no gradient: the decoder's products are forward and in its kernel."""
    described = training.describe(linear())
    product = 2 * BATCH * PIXELS * NUMBERS
    assert described.parameters["posterior"] == (PIXELS + 1) * NUMBERS
    assert described.flops["posterior"] == 2 * product
    assert sum(described.flops.values()) == 2 * product + 2 * 2 * product


def test_images_on_a_canvas_are_as_large_as_it():
    assert training.describe(linear(**{"data.canvas": 40})).parameters["posterior"] == (40 * 40 + 1) * NUMBERS


def test_parameters_and_memory_are_those_of_a_state():
    config = linear(**{"train.ema_decay": 0.9})
    described = training.describe(config)
    experiment = training.build(config, dataset=data.stand_in(config.data, BATCH)[0])
    state = jax.jit(experiment.step.init)()
    sizes = {name: sum(leaf.nbytes for leaf in jax.tree.leaves(of)) / 2**20 for name, of in vars(state).items()}
    assert described.parameters == {name: sum(of.size for of in jax.tree.leaves(v)) for name, v in state.params.items()}
    expected = {"parameters": "params", "their gradients": "params", "optimizer": "optimizer", "average": "average"}
    for name, field in expected.items():
        assert described.mib[name] == pytest.approx(sizes[field])


def test_a_run_says_what_it_is_before_its_first_step():
    config = linear()
    experiment = training.build(config, dataset=data.stand_in(config.data, BATCH)[0])
    numbers = NUMBERS + (PIXELS + 1) * NUMBERS + (NUMBERS + 1) * PIXELS  # prior's logits, encoder, decoder
    assert training.heading(config, experiment) == [
        "data: mnist, 28 x 28 x 1, binary, 8 training, 1 validation, 9 test; not looked for",
        f"model: mask_vae, likelihood bernoulli, {numbers:,} parameters",
        "devices: 4 x cpu",
    ]


def test_what_is_kept_for_the_backward_pass_grows_with_the_batch():
    config = mnist_hierarchy.get_config()
    config.model.update({"width": 4, "blocks": 0})
    found = []
    for size in (8, 16):
        config.train.batch_size = size
        found.append(training.describe(config).mib["kept for the backward pass"])
    assert found[1] / found[0] == pytest.approx(2.0, rel=0.05)
    # The masks and values of level 1 alone, float32.
    assert found[0] > 8 * 28 * 28 * 8 * 2 * 4 / 2**20


def test_the_mode_prints_and_makes_no_directory(tmp_path, capsys):
    workdir = tmp_path / "run"
    assert modes.execute(linear(), defaults={}, workdir=workdir, mode="describe", command=["launch.py"]) == 0
    assert not workdir.exists()
    printed = capsys.readouterr().out
    assert "data: mnist, 28 x 28 x 1, binary, 50,000 training images; not looked for\n" in printed
    assert f"batch: 8 images, {50_000 // 8:,} steps an epoch" in printed
    assert "MFLOP an image" in printed


def test_what_does_not_fit_is_told_as_by_a_run():
    with pytest.raises(ConfigError, match=r"^config\.data\.validation is 60000; allowed: -1, or 1 to 59999 of"):
        training.describe(linear(**{"data.validation": 60_000}))
    with pytest.raises(ConfigError, match=r"^config\.data\.bits is 4; allowed: 1 or 8 when"):
        training.describe(linear(**{"data.bits": 4}))


@pytest.mark.parametrize("name", SHAPES)
def test_known_data_are_those_that_the_experiments_are_tested_with(name):
    config = base.get_config().data
    config.name = name
    dataset, images = data.stand_in(config, 4)
    bits = 1 if name in BINARY else 8
    assert (dataset.image_shape, dataset.bits) == (SHAPES[name], bits)
    assert dataset.classes == (1 if name in BINARY else CLASSES.get(name, 10))
    assert (len(dataset.train), images >= 45_000) == (4, True)
    assert np.ptp(dataset.train.images) == 2**bits - 1


@pytest.mark.slow
@pytest.mark.parametrize("stem", EXPERIMENTS)
def test_every_experiment_can_be_described(stem):
    for preset in presets(EXPERIMENTS[stem]):
        described = training.describe(EXPERIMENTS[stem].get_config(preset))
        assert min(described.mib.values()) > 0
        assert sum(described.flops.values()) > described.batch_size * sum(described.parameters.values())
