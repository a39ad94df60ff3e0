import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import likelihoods, posteriors
from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.errors import ConfigError
from ctc_jax.models import REGISTRY, ImageSpace, Setting
from ctc_jax.models.setting import SharedOptions


def refused(make_model, message, name, **changes):
    with pytest.raises(ConfigError, match=message):
        make_model(name, **changes)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_what_no_network_can_have_is_refused_by_its_key(make_model, name):
    for key in ("latents", "width", "features"):
        refused(make_model, rf"^config\.model\.{key} is 0; allowed: a whole number, 1 or more$", name, **{key: 0})
    refused(make_model, r"^config\.model\.blocks is -1; allowed: a whole number, 0 or more$", name, blocks=-1)
    message = r"^config\.model\.activation is 'rellu'; .*\(did you mean relu\?\)$"
    refused(make_model, message, name, activation="rellu")
    refused(make_model, rf"^config\.model\.{name}\.depth is 3; allowed: ", name, depth=3)


def test_unknown_names_are_one_line_that_lists_what_there_is(make_model):
    with pytest.raises(ConfigError) as caught:
        make_model("conv_vea")
    assert str(caught.value) == (
        "config.model.name is 'conv_vea'; "
        "allowed: class_conditional, conv_draw, conv_vae, ctc_hierarchy, draw, mask_vae, mlp_vae, top_down "
        "(did you mean conv_vae?)"
    )
    refused(
        make_model,
        r"^config\.posterior\.name is 'flow'; allowed: annealed_hamiltonian, coupling, diagonal,",
        "mlp_vae",
        posterior="flow",
    )


@pytest.mark.parametrize(
    ("name", "changes"), [("mask_vae", {}), ("class_conditional", {}), ("ctc_hierarchy", {"top": "ctc"})]
)
def test_a_posterior_for_gaussian_latents_is_refused_where_there_are_none(make_model, name, changes):
    words = r"^config\.posterior\.name is 'iaf'; allowed: diagonal \(no latent of this model is Gaussian\)$"
    refused(make_model, words, name, posterior="iaf", **changes)


def test_an_image_that_cannot_be_halved_is_refused_by_its_key(make_model):
    refused(make_model, r"^config\.model\.conv_vae\.levels is 2; allowed: 1 to 1, ", "conv_vae", levels=2)
    refused(make_model, r"^config\.model\.conv_vae\.levels is 0; allowed: ", "conv_vae", levels=0)


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
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.1)
    z = jnp.asarray([[0.0], [1.0], [2.0]])
    mean = np.asarray(model.decode(params, {"z": Masked(z)}).mean, np.float64)
    logits = np.log(mean / (1 - mean))
    np.testing.assert_allclose(logits[2] - logits[1], logits[1] - logits[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("categories", 1, "2 or more"),
        ("latent", "bernouli", r"did you mean bernoulli\?"),
        ("prior", "flat", "fixed, learned"),
        ("beta", 0.0, "above 0"),
        ("narrowing", 0, "1 or more"),
        ("narrowing", 5, "keep one unit"),
        ("som_sigma", -1.0, "0 "),
        ("som_sigma_steps", -1, "0 "),
    ],
)
def test_masks_that_cannot_be_are_refused(make_model, key, value, words):
    message = rf"^config\.model\.mask_vae\.{key} is {value!r}; allowed: .*{words}"
    refused(make_model, message, "mask_vae", **{"latent": "ctc", "blocks": 2, key: value})


@pytest.mark.parametrize("latent", ["bernoulli", "bernoulli_ctc", "relu"])
def test_gates_have_no_alternatives_to_pool(make_model, latent):
    message = rf"^config\.model\.mask_vae\.som_sigma is 1\.0; allowed: 0 with latent={latent}: "
    refused(make_model, message, "mask_vae", latent=latent, som_sigma=1.0)


def test_the_slope_of_the_leaky_rectifier_reaches_the_network(make_model):
    assert make_model("mlp_vae", activation="leaky_relu", negative_slope=0.3).network.activation.slope == 0.3
    words = r"^config\.model\.negative_slope is 0\.3; allowed: 0\.01, unless model\.activation is leaky_relu$"
    refused(make_model, words, "mlp_vae", activation="relu", negative_slope=0.3)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mlp_vae", {}),
        ("conv_vae", {}),
        ("mask_vae", {"latent": "ctc", "blocks": 2, "narrowing": 2}),
        ("ctc_hierarchy", {"families": "gaussian"}),
    ],
)
def test_a_decoder_without_blocks_is_linear_in_its_latents_whatever_the_encoder_has(
    make_model, randomize, name, changes
):
    def bend(decoder_blocks):
        """The largest second difference of logits along all latents together."""
        model = make_model(name, decoder_blocks=decoder_blocks, **changes)
        params = randomize(jax.jit(model.init)(jax.random.key(0)))

        @jax.jit
        def logits(step):
            latents, _ = model.generate(params, jax.random.key(1), 3)
            moved = {of: Masked(latent.product * step) for of, latent in latents.items()}
            return model.decode(params, moved).base_dist.logits

        return jnp.abs(logits(2.0) - 2.0 * logits(1.0) + logits(0.0)).max()

    assert bend(0) < 1e-4
    assert bend(1) > 1e-2


def test_a_depth_of_its_own_is_refused_of_a_decoder_that_is_no_sibling_of_the_encoder(make_model):
    words = r"^config\.model\.decoder_blocks is 0; allowed: -1 with model\.name=class_conditional, .*; others with conv"
    refused(make_model, words, "class_conditional", decoder_blocks=0)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_model_says_which_of_the_shared_options_change_nothing_of_it(name):
    shared = SharedOptions(latents=2, width=16, blocks=2, features=4, activation="leaky_relu")
    other = {"latents": 3, "width": 24, "blocks": 1, "decoder_blocks": 1, "features": 5, "negative_slope": 0.3}
    part = REGISTRY[name]()
    space = ImageSpace((32, 32, 1), 1, 2)
    likelihood = likelihoods.build({"name": "bernoulli"}, shape=space.shape, bits=1, features=4)
    setting = Setting(likelihood, posteriors.build({"name": "diagonal"}), space, jnp.float32)

    def build(**changes):
        return part.build(dataclasses.replace(shared, **changes), setting)

    same = {option for option, value in {**other, "activation": "relu"}.items() if build(**{option: value}) == build()}
    assert same == set(part.unused)


@pytest.mark.parametrize("name", ["conv_vae", "ctc_hierarchy", "top_down", "conv_draw"])
def test_convolutions_alone_are_float32_where_they_are_asked_to_be(make_model, name):
    changes = {"decoder": "4x1"} if name == "top_down" else {"families": "gaussian"} if name == "ctc_hierarchy" else {}
    batch = Batch(jnp.zeros((1, 8, 8, 1), jnp.uint8), jnp.zeros(1, jnp.int32))

    def types(operation, **types):
        """Of its results, forward and backward."""
        model = make_model(name, shape=(8, 8, 1), **types, **changes)
        loss = lambda params: jnp.sum(model.bound(params, jax.random.key(0), batch).log_likelihood)  # noqa: E731
        program = str(jax.make_jaxpr(jax.grad(loss))(jax.eval_shape(model.init, jax.random.key(0))))
        return set(re.findall(rf":(\w+)\[[^\]]*\] = {operation}\[", program))

    half = {"dtype": jnp.bfloat16}
    assert types("conv_general_dilated", **half) == {"bf16"}
    assert types("conv_general_dilated", **half, convolution_dtype=jnp.float32) == {"f32"}
    assert "bf16" in types("dot_general", **half, convolution_dtype=jnp.float32)


def test_with_float32_convolutions_a_model_is_the_same_to_bfloat16_s_rounding(make_model, randomize):
    images = np.random.default_rng(0).integers(0, 2, (4, 4, 4, 1)).astype(np.uint8)
    batch, bounds = Batch(jnp.asarray(images), jnp.zeros(4, jnp.int32)), []
    for dtype in (jnp.float32, jnp.bfloat16):
        model = make_model("conv_vae", shape=(4, 4, 1), dtype=dtype, convolution_dtype=jnp.float32)
        params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.3)
        bounds.append(jax.jit(model.infer)(params, None, batch).log_likelihood)
    exact, rounded = bounds
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, rtol=0.03)
    assert (np.asarray(rounded) != np.asarray(exact)).any()
