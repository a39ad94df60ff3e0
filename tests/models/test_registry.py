import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.errors import ConfigError
from ctc_jax.models import REGISTRY


@pytest.mark.parametrize("name", sorted(REGISTRY))
@pytest.mark.parametrize("key", ["latents", "width", "features"])
def test_a_size_below_one_is_refused(make_model, name, key):
    with pytest.raises(ConfigError) as caught:
        make_model(name, **{key: 0})
    assert str(caught.value) == f"config.model.{key} is 0; allowed: 1 or more"


def test_negative_blocks_are_refused(make_model):
    with pytest.raises(ConfigError, match=r"^config\.model\.blocks is -1; allowed: 0 or more$"):
        make_model("mlp_vae", blocks=-1)


def test_unknown_name_is_one_line_that_lists_the_models(make_model):
    with pytest.raises(ConfigError) as caught:
        make_model("conv_vea")
    assert str(caught.value) == (
        "config.model.name is 'conv_vea'; "
        "allowed: class_conditional, conv_vae, ctc_hierarchy, mask_vae, mlp_vae "
        "(did you mean conv_vae?)"
    )


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_unknown_activation_is_refused(make_model, name):
    with pytest.raises(ConfigError, match=r"^config\.model\.activation is 'rellu'; .*\(did you mean relu\?\)$"):
        make_model(name, activation="rellu")


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_unknown_posterior_is_refused_also_where_none_is_needed(make_model, name):
    with pytest.raises(ConfigError, match=r"^config\.posterior\.name is 'flow'; allowed: diagonal"):
        make_model(name, posterior="flow")


def test_an_image_that_cannot_be_halved_is_refused_by_the_convolutional_model_only(make_model):
    with pytest.raises(ConfigError, match=r"^config\.model\.levels is 2; allowed: 1 to 1, "):
        make_model("conv_vae", levels=2)
    make_model("mlp_vae", levels=2)


def test_a_model_built_twice_from_one_config_is_the_same_static_argument(make_model):
    """Equal and of equal hash, so that jit compiles a rebuilt model once."""
    first, second = make_model("conv_vae", "ctc"), make_model("conv_vae", "ctc")
    assert first == second
    assert hash(first) == hash(second)


def test_width_and_blocks_reach_the_network(make_model):
    model = make_model("mlp_vae", width=5, blocks=2, latents=3)
    params = jax.eval_shape(model.init, jax.random.key(0))
    shapes = [params[name]["kernel"].shape for name in ("down_0", "down_1", "up_0", "up_1", "out")]
    assert shapes == [(4, 5), (5, 5), (3, 5), (5, 5), (5, 12)]


def test_no_hidden_layers_leave_a_linear_model(make_model, randomize):
    model = make_model("mlp_vae", blocks=0)
    # Mild logits: their differences are read from probabilities, which must not round to 0 or 1 in float32.
    params = randomize(model.init(jax.random.key(0)), 0.1)
    z = jnp.asarray([[0.0], [1.0], [2.0]])
    mean = np.asarray(model.decode(params, {"z": z}).mean, np.float64)
    logits = np.log(mean / (1 - mean))
    np.testing.assert_allclose(logits[2] - logits[1], logits[1] - logits[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("categories", 1, "2 or more"),
        ("latent", "bernouli", r"did you mean bernoulli\?"),
        ("prior", "flat", "fixed, learned"),
        ("narrowing", 0, "1 or more"),
        ("narrowing", 5, "keep one unit"),
        ("som_sigma", -1.0, "0 "),
        ("som_sigma_steps", -1, "0 "),
    ],
)
def test_masks_that_cannot_be_are_refused(make_model, key, value, words):
    changes = {"latent": "ctc", "blocks": 2, key: value}
    with pytest.raises(ConfigError, match=rf"^config\.model\.{key} is {value!r}; allowed: .*{words}"):
        make_model("mask_vae", **changes)


def test_gates_have_no_alternatives_to_pool(make_model):
    with pytest.raises(
        ConfigError, match=r"^config\.model\.som_sigma is 1\.0; allowed: 0 with model\.latent=bernoulli"
    ):
        make_model("mask_vae", som_sigma=1.0)


def test_the_slope_of_the_leaky_rectifier_reaches_the_network(make_model):
    assert make_model("mlp_vae", activation="leaky_relu", negative_slope=0.3).network.activation.slope == 0.3
