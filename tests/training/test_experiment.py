import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from ctc_jax import gradients, training
from ctc_jax.errors import ConfigError
from ctc_jax.models import ImageSpace


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("log_every", 0, "1 or more"),
        ("evaluate_every", 0, "1 or more"),
        ("checkpoint_every", 0, "1 or more"),
        ("picture_every", -1, "0 or more"),
        ("steps_per_call", -1, "0 or more"),
        ("cpu_devices", -1, "0 or more"),
        ("steps", 0, "1 or more"),
    ],
)
def test_a_count_out_of_range_is_refused_before_the_data_are_fetched(tiny, key, value, allowed):
    config = tiny(data__npz__path="no/such/file.npz", **{f"train__{key}": value})
    with pytest.raises(ConfigError, match=rf"config\.train\.{key} is {value}; allowed: a whole number, {allowed}"):
        training.build(config)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**20])
def test_a_seed_out_of_range_is_refused_before_the_data_are_fetched(tiny, seed):
    with pytest.raises(ConfigError, match=rf"config\.seed is {seed}; allowed: a whole number, 0 or more"):
        training.build(tiny(data__npz__path="no/such/file.npz", seed=seed))


def test_the_largest_seed_trains(tiny):
    experiment = training.build(tiny(seed=2**32 - 1))
    train = jax.jit(lambda batch: experiment.step(experiment.step.init(), batch)[1]["loss_nats"])
    assert np.isfinite(train(experiment.stream(0, 1))[0])


def test_features_that_the_data_cannot_have_are_refused_before_training(tiny):
    assert training.build(tiny(evaluate__features="classifier"))  # nothing is measured by default
    with pytest.raises(ConfigError, match=r"config\.evaluate\.features .* npz has no labels"):
        training.build(tiny(evaluate__quality_samples=6))


def test_levels_may_have_estimators_of_their_own(tiny):
    hierarchy = {"model__name": "ctc_hierarchy", "model__ctc_hierarchy__levels": 2}
    hierarchy |= {"model__ctc_hierarchy__families": "ctc_relu,ctc_pool"}
    names = {"level_1": "straight_through", "level_2": "gumbel_rao"}
    model = training.build(tiny(**hierarchy, estimator__name=",".join(names.values()))).model
    for latent, name in names.items():
        assert isinstance(model.estimator.of(latent), gradients.REGISTRY[name])
    with pytest.raises(ConfigError, match=r"estimator\.name is 'reinmax,reinmax,reinmax'; .*: level_1, level_2$"):
        training.build(tiny(**hierarchy, estimator__name="reinmax,reinmax,reinmax"))


def test_a_model_of_one_latent_has_one_estimator(tiny):
    with pytest.raises(ConfigError, match=r"estimator\.name is 'rloo,rloo'; allowed: one name"):
        training.build(tiny(model__name="mask_vae", estimator__name="rloo,rloo"))


def test_convolutions_have_a_type_of_their_own_where_a_config_says_so():
    config = base.experiment({"train.compute_dtype": "bfloat16", "train.float32_convolutions": True})
    network = training.build_model(config, ImageSpace((32, 32, 3), 8, 10)).network
    assert (network.dtype, network.convolution_dtype) == (jnp.bfloat16, jnp.float32)
