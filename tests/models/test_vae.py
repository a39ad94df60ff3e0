import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.gradients import ReinMax
from ctc_jax.models.setting import check_halving
from ctc_jax.options import OptionError
from tests.models.conftest import assert_same_mean, weights_and_bounds

GRID = np.linspace(-9.0, 9.0, 1801)
DRAWS = 4096


@pytest.fixture(scope="module")
def tiny(make_model, randomize):
    """One latent, sixteen possible images: every expectation is a sum or a quadrature."""
    model = make_model("mlp_vae")
    return model, randomize(jax.jit(model.init)(jax.random.key(0)))


@pytest.fixture(scope="module")
def log_likelihood(tiny, binary_images):
    """log p(x|z), [images, grid]."""
    model, params = tiny
    grid = jnp.asarray(GRID[:, None], jnp.float32)
    log_prob = jax.jit(lambda: model.decode(params, {"z": Masked(grid)}).log_prob(binary_images.image[:, None]))
    return np.asarray(log_prob(), np.float64)


@pytest.fixture(scope="module")
def log_evidence(log_likelihood):
    """log p(x) of each image."""
    return logsumexp(log_likelihood + stats.norm.logpdf(GRID), axis=1, b=GRID[1] - GRID[0])


@pytest.fixture(scope="module")
def draws(tiny, binary_images):
    """Weights, log q, z and bounds for many keys: leading axis of keys."""
    model, params = tiny
    return jax.device_get(weights_and_bounds(model, params, jax.random.split(jax.random.key(1), DRAWS), binary_images))


@pytest.fixture(scope="module")
def moments(tiny, binary_images):
    """Mean and scale of q(z|x) of each image, from the last layer's own numbers."""
    model, params = tiny
    network = model.bound_network(params)
    hidden = network.encode(binary_images)
    dense = params["posterior"]["Dense_0"]
    loc, log_scale = np.split(np.float64(hidden) @ np.float64(dense["kernel"]) + np.float64(dense["bias"]), 2, axis=-1)
    return loc[:, 0], np.exp(log_scale)[:, 0]


def test_probabilities_of_all_images_sum_to_one(log_evidence):
    np.testing.assert_allclose(np.exp(log_evidence).sum(), 1.0, rtol=1e-5)


def test_generated_images_have_the_frequencies_of_the_quadrature(tiny, log_evidence):
    model, params = tiny
    count, p = 20_000, np.exp(log_evidence)

    @jax.jit
    def generate(key):
        latents, pixels = model.generate(params, key, count)
        return latents["z"].value, pixels.sample(jax.random.fold_in(key, 1))

    z, images = generate(jax.random.key(2))
    images = np.asarray(images).reshape(count, 4)
    frequencies = np.bincount(images @ [8, 4, 2, 1], minlength=16) / count
    np.testing.assert_array_less(np.abs(frequencies - p), 4.5 * np.sqrt(p * (1 - p) / count))
    assert stats.kstest(np.asarray(z)[:, 0], "norm").pvalue > 1e-3


def test_log_joint_is_the_likelihood_times_a_standard_normal_prior(make_model, randomize, binary_images):
    model = make_model("mlp_vae", latents=3)
    # Mild logits: the oracle goes through probabilities, which must not round to 0 or 1 in float32.
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.1)
    z = np.asarray(jax.random.normal(jax.random.key(4), (16, 3)))
    p = np.asarray(model.decode(params, {"z": Masked(jnp.asarray(z))}).mean, np.float64)
    image = np.asarray(binary_images.image)
    expected = stats.bernoulli.logpmf(image, p).sum(axis=(1, 2, 3)) + stats.norm.logpdf(z).sum(axis=1)
    joint = jax.jit(model.joint)(params, binary_images, {"z": Masked(jnp.asarray(z))})
    np.testing.assert_allclose(joint.total, expected, rtol=1e-4)
    np.testing.assert_allclose(joint.log_prior["z"], stats.norm.logpdf(z).sum(axis=1), rtol=1e-4)


def test_inferred_latents_follow_the_density_that_is_reported(tiny, binary_images, draws, moments):
    model, params = tiny
    (loc, scale), z = moments, draws["latents"]["z"][..., 0]
    assert min(stats.kstest((z[:, i] - loc[i]) / scale[i], "norm").pvalue for i in range(16)) > 1e-3
    np.testing.assert_allclose(draws["log_q"], stats.norm.logpdf(z, loc, scale), rtol=1e-3, atol=1e-3)
    center = jax.jit(model.infer)(params, None, binary_images).latents["z"].value
    np.testing.assert_allclose(center[:, 0], loc, rtol=1e-4, atol=1e-5)


def test_the_bound_in_parts_is_the_sampled_bound_on_average(draws):
    bound = draws["bound"]
    assert_same_mean(bound.log_likelihood - bound.kl["z"] - draws["log_weight"], 0.0)
    assert np.ptp(bound.kl["z"], axis=0).max() == 0  # analytic: no noise
    np.testing.assert_allclose(draws["log_weight"], draws["by_joint"], rtol=1e-4, atol=1e-4)


def test_evidence_minus_bound_is_the_divergence_from_the_true_posterior(draws, moments, log_likelihood, log_evidence):
    loc, scale = moments
    log_q = stats.norm.logpdf(GRID, loc[:, None], scale[:, None])
    log_posterior = log_likelihood + stats.norm.logpdf(GRID) - log_evidence[:, None]
    divergence = (np.exp(log_q) * (log_q - log_posterior)).sum(axis=1) * (GRID[1] - GRID[0])
    assert divergence.min() > 0.01
    assert_same_mean(draws["bound"].log_likelihood - draws["bound"].kl["z"], log_evidence - divergence)


def test_samples_are_reparameterized(tiny, binary_images):
    """With a fixed key the bound is a smooth function of the encoder, and its gradient that of finite differences."""
    model, params = tiny
    encoder = {name: params[name] for name in ("down_0", "posterior")}
    leaves, tree = jax.tree.flatten(encoder)
    keys = jax.random.split(jax.random.key(5), len(leaves))
    direction = tree.unflatten([jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)])

    @jax.jit
    def bound(encoder):
        everything = {**params, **encoder}
        return jnp.sum(model.infer(everything, jax.random.key(6), binary_images).log_weight)

    def along(step):
        return float(bound(jax.tree.map(lambda leaf, toward: leaf + step * toward, encoder, direction)))

    gradient = jax.jit(jax.grad(bound))(encoder)
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(gradient))
    slope = sum(float(jnp.vdot(a, b)) for a, b in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    np.testing.assert_allclose(slope, (along(0.001) - along(-0.001)) / 0.002, rtol=0.01)


@pytest.mark.parametrize("name", ["mlp_vae", "conv_vae"])
def test_an_image_is_encoded_and_scored_the_same_in_any_batch(name, make_model, randomize):
    model = make_model(name, "gaussian", (4, 2, 2), bits=3, latents=2)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.3)
    images = jnp.asarray(np.random.default_rng(0).integers(0, 8, (3, 4, 2, 2)), jnp.uint8)

    @jax.jit
    def answers(batch):
        z = model.infer(params, None, batch).latents
        return z["z"].value, model.joint(params, batch, z).total

    together = answers(Batch(images, jnp.zeros(3, jnp.int32)))
    alone = answers(Batch(images[1:2], jnp.zeros(1, jnp.int32)))
    for in_batch, by_itself in zip(together, alone, strict=True):
        np.testing.assert_allclose(in_batch[1:2], by_itself, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "levels", "channels"), [(8, 4, 2, 1), (2, 6, 1, 2), (8, 8, 3, 3), (4, 4, 1, 4)]
)
def test_convolutional_model_takes_images_of_any_shape_it_can_halve(make_model, height, width, levels, channels):
    shape = (height, width, channels)
    model = make_model("conv_vae", "ctc", shape, bits=5, levels=levels, latents=2)
    batch = Batch(jnp.zeros((3, *shape), jnp.uint8), jnp.zeros(3, jnp.int32))

    def answers(key):
        params = model.init(key)
        latents, pixels = model.generate(params, key, 3)
        trace = model.infer(params, key, batch)
        joint = model.joint(params, batch, latents)
        return params, latents, pixels.sample(key), trace.latents, trace.log_weight, joint.total

    params, latents, images, inferred, log_weight, log_joint = jax.eval_shape(answers, jax.random.key(0))
    assert latents["z"].value.shape == inferred["z"].value.shape == (3, 2)
    assert (images.shape, images.dtype) == ((3, *shape), jnp.int32)
    assert log_weight.shape == log_joint.shape == (3,)
    assert params["start"]["kernel"].shape == (2, 4 * (height >> levels) * (width >> levels))
    assert params["down_0"]["kernel"].shape == (4 * channels, 4)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_the_darkest_and_the_brightest_level_enter_the_network_as_minus_one_and_one(make_model, randomize, bits):
    model = make_model("mlp_vae", "gaussian", bits=bits, blocks=0)
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    images = jnp.asarray([0, 2**bits - 1], jnp.uint8)[:, None, None, None] * jnp.ones((1, 2, 2, 1), jnp.uint8)
    means = jax.jit(model.infer)(params, None, Batch(images, jnp.zeros(2, jnp.int32))).latents["z"].value
    dense = params["posterior"]["Dense_0"]
    reach = np.asarray(dense["kernel"][:, :1]).sum()
    np.testing.assert_allclose(means, dense["bias"][0] + np.array([[-reach], [reach]]), rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["conv_vae", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ctc_hierarchy", "top_down"))]
)
def test_bfloat16_networks_keep_float32_parameters_and_log_probabilities(make_model, randomize, name):
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3)), jnp.uint8)
    batch = Batch(images, jnp.zeros(4, jnp.int32))
    bound = {}
    for dtype in (jnp.float32, jnp.bfloat16):
        estimator = ReinMax() if name == "ctc_hierarchy" else None
        model = make_model(name, "gaussian", (4, 4, 3), bits=8, dtype=dtype, latents=2, estimator=estimator)
        fresh = jax.jit(model.init)(jax.random.key(0))
        assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {np.dtype(np.float32)}
        params = randomize(fresh, 0.1)
        terms = jax.jit(model.bound)(params, jax.random.key(1), batch)
        assert {part.dtype for part in jax.tree.leaves(terms)} == {np.dtype(np.float32)}
        bound[dtype] = terms.log_likelihood - sum(terms.kl.values())
    # bfloat16 rounds by 2**-9; 1% of the bound leaves room for the few layers it passes.
    np.testing.assert_allclose(bound[jnp.bfloat16], bound[jnp.float32], rtol=0.01)
    assert not np.array_equal(bound[jnp.bfloat16], bound[jnp.float32])


def test_an_image_can_be_halved_as_often_as_two_divides_both_sides():
    for shape, levels in [((8, 8, 1), 3), ((8, 4, 1), 2), ((6, 10, 3), 1), ((32, 32, 3), 5)]:
        check_halving(shape, levels)
        with pytest.raises(OptionError) as caught:
            check_halving(shape, levels + 1)
        size = f"{shape[0]}x{shape[1]}"
        assert str(caught.value) == (
            f"levels is {levels + 1}; allowed: 1 to {levels}, the times a {size} image can be halved"
        )
    for shape in [(7, 8, 1), (8, 7, 3), (1, 1, 1)]:
        with pytest.raises(OptionError, match=r"^levels is 1; allowed: no value: .* use model.name=mlp_vae"):
            check_halving(shape, 1)
