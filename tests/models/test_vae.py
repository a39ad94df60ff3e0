import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from ctc_jax.models.convolutional import check_halving
from scipy import stats
from scipy.special import logsumexp

from ctc_jax.data import Batch
from ctc_jax.errors import ConfigError
from ctc_jax.models.vae import VAE

GRID = np.linspace(-9.0, 9.0, 1801)
DRAWS = 4096


@pytest.fixture(scope="module")
def tiny(make_model, randomize):
    """One latent, sixteen possible images: every expectation is a sum or a quadrature."""
    model = make_model("mlp_vae")
    return model, randomize(model.init(jax.random.key(0)))


@pytest.fixture(scope="module")
def log_likelihood(tiny, binary_images):
    """log p(x|z), [images, grid]."""
    model, params = tiny
    grid = jnp.asarray(GRID[:, None], jnp.float32)
    log_prob = jax.jit(lambda: model.decode(params, {"z": grid}).log_prob(binary_images.image[:, None]))
    return np.asarray(log_prob(), np.float64)


@pytest.fixture(scope="module")
def log_evidence(log_likelihood):
    """log p(x) of each image."""
    return logsumexp(log_likelihood + stats.norm.logpdf(GRID), axis=1, b=GRID[1] - GRID[0])


@pytest.fixture(scope="module")
def draws(tiny, binary_images):
    """log p(x, z) - log q(z|x), log q(z|x), z and the ELBO's terms for many keys: leading axis of keys."""
    model, params = tiny

    @jax.jit
    @jax.vmap
    def one(key):
        latents, log_q = model.recognize(params, key, binary_images)
        terms = model.elbo_terms(params, key, binary_images)
        return model.log_joint(params, binary_images, latents) - log_q, log_q, latents["z"], terms

    return jax.device_get(one(jax.random.split(jax.random.key(1), DRAWS)))


def assert_same_mean(samples, expected, errors=4.5):
    """The mean over the leading axis is `expected` within Monte Carlo error."""
    error = np.std(samples, axis=0, dtype=np.float64) / np.sqrt(len(samples))
    np.testing.assert_array_less(np.abs(np.mean(samples, axis=0, dtype=np.float64) - expected), errors * error + 1e-5)


def test_probabilities_of_all_images_sum_to_one(log_evidence):
    np.testing.assert_allclose(np.exp(log_evidence).sum(), 1.0, rtol=1e-5)


def test_generated_images_have_the_frequencies_of_the_quadrature(tiny, log_evidence):
    model, params = tiny
    count, p = 20_000, np.exp(log_evidence)
    latents, pixels = model.generate(params, jax.random.key(2), count)
    images = np.asarray(pixels.sample(jax.random.key(3))).reshape(count, 4)
    frequencies = np.bincount(images @ [8, 4, 2, 1], minlength=16) / count
    np.testing.assert_array_less(np.abs(frequencies - p), 4.5 * np.sqrt(p * (1 - p) / count))
    assert stats.kstest(np.asarray(latents["z"])[:, 0], "norm").pvalue > 1e-3


def test_log_joint_is_the_likelihood_times_a_standard_normal_prior(make_model, randomize, binary_images):
    model = make_model("mlp_vae", latents=3)
    # Mild logits: the oracle goes through probabilities, which must not round to 0 or 1 in float32.
    params = randomize(model.init(jax.random.key(0)), 0.1)
    z = np.asarray(jax.random.normal(jax.random.key(4), (16, 3)))
    p = np.asarray(model.decode(params, {"z": jnp.asarray(z)}).mean, np.float64)
    image = np.asarray(binary_images.image)
    expected = stats.bernoulli.logpmf(image, p).sum(axis=(1, 2, 3)) + stats.norm.logpdf(z).sum(axis=1)
    np.testing.assert_allclose(model.log_joint(params, binary_images, {"z": jnp.asarray(z)}), expected, rtol=1e-4)


def test_recognized_latents_follow_the_density_that_is_reported(tiny, binary_images, draws):
    model, params = tiny
    _, log_q, z, _ = draws
    mean = np.asarray(model.posterior_means(params, binary_images)["z"], np.float64)[:, 0]
    scale = np.sqrt(np.mean((z[..., 0] - mean) ** 2, axis=0))
    assert_same_mean(z[..., 0], mean)
    # The entropy of a Gaussian of the scale seen: its estimate has variance (1 + 1) / 2 / DRAWS at most.
    entropy = 0.5 * np.log(2 * np.pi * np.e * scale**2)
    np.testing.assert_allclose(-log_q.mean(axis=0), entropy, atol=4.5 / np.sqrt(DRAWS))
    assert min(stats.kstest((z[:, i, 0] - mean[i]) / scale[i], "norm").pvalue for i in range(16)) > 1e-3


def test_the_bound_in_parts_is_the_sampled_bound_on_average(draws):
    log_weight, _, _, terms = draws
    elbo = terms.log_likelihood - terms.kl["z"]
    assert_same_mean(elbo - log_weight, 0.0)
    assert np.ptp(terms.kl["z"], axis=0).max() == 0  # analytic: no noise


def test_evidence_minus_bound_is_the_divergence_from_the_true_posterior(
    tiny, binary_images, draws, log_likelihood, log_evidence
):
    model, params = tiny
    _, log_q, z, terms = draws
    mean = np.asarray(model.posterior_means(params, binary_images)["z"], np.float64)
    # At two draws log q gives the scale: log q = -log s - (z - m)^2 / (2 s^2) - log(2 pi) / 2.
    squares = (z[:2, :, 0] - mean[:, 0]) ** 2
    scale = np.sqrt((squares[0] - squares[1]) / (2 * (log_q[1] - log_q[0])).astype(np.float64))
    log_q_grid = stats.norm.logpdf(GRID, mean, scale[:, None])
    log_posterior = log_likelihood + stats.norm.logpdf(GRID) - log_evidence[:, None]
    divergence = (np.exp(log_q_grid) * (log_q_grid - log_posterior)).sum(axis=1) * (GRID[1] - GRID[0])
    assert divergence.min() > 0.01
    assert_same_mean(terms.log_likelihood - terms.kl["z"], log_evidence - divergence)


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
        latents, log_q = model.recognize(everything, jax.random.key(6), binary_images)
        return jnp.sum(model.log_joint(everything, binary_images, latents) - log_q)

    def along(step):
        return float(bound(jax.tree.map(lambda leaf, toward: leaf + step * toward, encoder, direction)))

    gradient = jax.grad(bound)(encoder)
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(gradient))
    slope = sum(float(jnp.vdot(a, b)) for a, b in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    np.testing.assert_allclose(slope, (along(0.001) - along(-0.001)) / 0.002, rtol=0.01)


class Shifted(nn.Module):
    """q(z|x) without a closed divergence: exp of a Gaussian would do, an affine map of one has the truth at hand."""

    loc, scale = 0.6, 0.5

    @nn.compact
    def __call__(self, images):
        return self.decode(self.encode(images).sample(jax.random.key(0)))

    def encode(self, images):
        zeros = jnp.zeros((len(images), 1))
        start = dist.Normal(zeros, jnp.ones_like(zeros))
        return dist.TransformedDistribution(start, dist.transforms.AffineTransform(self.loc, self.scale)).to_event(1)

    def decode(self, code):
        return dist.BernoulliLogits(jnp.broadcast_to(code[:, :, None, None], (len(code), 2, 2, 1))).to_event(3)


def test_a_posterior_without_closed_divergence_gets_an_unbiased_one():
    model = VAE(Shifted(), 1, (2, 2, 1))
    batch = Batch(jnp.zeros((1, 2, 2, 1), jnp.int32), jnp.zeros(1, jnp.int32))
    terms = jax.vmap(lambda key: model.elbo_terms({}, key, batch))(jax.random.split(jax.random.key(0), DRAWS))
    expected = 0.5 * (0.5**2 + 0.6**2 - 1 - np.log(0.5**2))
    assert_same_mean(np.asarray(terms.kl["z"]), expected)


@pytest.mark.parametrize("name", ["mlp_vae", "conv_vae"])
def test_an_image_is_encoded_and_scored_the_same_in_any_batch(name, make_model, randomize):
    model = make_model(name, "gaussian", (4, 2, 2), bits=3, latents=2)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.3)
    images = jnp.asarray(np.random.default_rng(0).integers(0, 8, (3, 4, 2, 2)), jnp.uint8)

    @jax.jit
    def answers(batch):
        z = model.posterior_means(params, batch)
        return z["z"], model.log_joint(params, batch, z)

    together = answers(Batch(images, jnp.zeros(3, jnp.int32)))
    alone = answers(Batch(images[1:2], jnp.zeros(1, jnp.int32)))
    for in_batch, by_itself in zip(together, alone, strict=True):
        np.testing.assert_allclose(in_batch[1:2], by_itself, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width", "levels"), [(8, 4, 2), (2, 6, 1), (8, 8, 3)])
def test_convolutional_model_takes_images_of_any_shape_it_can_halve(make_model, height, width, levels, channels):
    shape = (height, width, channels)
    model = make_model("conv_vae", "ctc", shape, bits=5, levels=levels, latents=2)
    batch = Batch(jnp.zeros((3, *shape), jnp.uint8), jnp.zeros(3, jnp.int32))

    def answers(key):
        params = model.init(key)
        latents, pixels = model.generate(params, key, 3)
        recognized, log_q = model.recognize(params, key, batch)
        return params, latents, pixels.sample(key), recognized, log_q, model.log_joint(params, batch, latents)

    params, latents, images, recognized, log_q, log_joint = jax.eval_shape(answers, jax.random.key(0))
    assert latents["z"].shape == recognized["z"].shape == (3, 2)
    assert (images.shape, images.dtype) == ((3, *shape), jnp.int32)
    assert log_q.shape == log_joint.shape == (3,)
    assert params["start"]["kernel"].shape == (2, 4 * (height >> levels) * (width >> levels))
    assert params["down_0"]["kernel"].shape == (4 * channels, 4)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_the_darkest_and_the_brightest_level_enter_the_network_as_minus_one_and_one(make_model, randomize, bits):
    model = make_model("mlp_vae", "gaussian", bits=bits, blocks=0)
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    images = jnp.asarray([0, 2**bits - 1], jnp.uint8)[:, None, None, None] * jnp.ones((1, 2, 2, 1), jnp.uint8)
    means = model.posterior_means(params, Batch(images, jnp.zeros(2, jnp.int32)))["z"]
    dense = params["posterior"]["Dense_0"]
    reach = np.asarray(dense["kernel"][:, :1]).sum()
    np.testing.assert_allclose(means, dense["bias"][0] + np.array([[-reach], [reach]]), rtol=1e-5)


@pytest.mark.parametrize("name", ["conv_vae", "ctc_hierarchy"])
def test_bfloat16_networks_keep_float32_parameters_and_log_probabilities(make_model, randomize, name):
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3)), jnp.uint8)
    batch = Batch(images, jnp.zeros(4, jnp.int32))
    bound = {}
    for dtype in (jnp.float32, jnp.bfloat16):
        model = make_model(name, "gaussian", (4, 4, 3), bits=8, dtype=dtype, latents=2)
        fresh = jax.jit(model.init)(jax.random.key(0))
        assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {np.dtype(np.float32)}
        params = randomize(fresh, 0.1)
        terms = jax.jit(model.elbo_terms)(params, jax.random.key(1), batch)
        assert {part.dtype for part in jax.tree.leaves(terms)} == {np.dtype(np.float32)}
        bound[dtype] = terms.log_likelihood - sum(terms.kl.values())
    # bfloat16 rounds by 2**-9; 1% of the bound leaves room for the few layers it passes.
    np.testing.assert_allclose(bound[jnp.bfloat16], bound[jnp.float32], rtol=0.01)
    assert not np.array_equal(bound[jnp.bfloat16], bound[jnp.float32])


@pytest.mark.parametrize(("shape", "levels"), [((8, 8, 1), 3), ((8, 4, 1), 2), ((6, 10, 3), 1), ((32, 32, 3), 5)])
def test_an_image_can_be_halved_as_often_as_two_divides_both_sides(shape, levels):
    check_halving(shape, levels)
    with pytest.raises(ConfigError) as caught:
        check_halving(shape, levels + 1)
    assert str(caught.value) == (
        f"config.model.levels is {levels + 1}; "
        f"allowed: 1 to {levels}, the times a {shape[0]}x{shape[1]} image can be halved"
    )


def test_no_halving_at_all_is_refused():
    with pytest.raises(ConfigError, match=r"^config\.model\.levels is 0; allowed: 1 to 3, "):
        check_halving((8, 8, 1), 0)


@pytest.mark.parametrize("shape", [(7, 8, 1), (8, 7, 3), (1, 1, 1)])
def test_an_odd_image_is_refused_with_a_way_out(shape):
    with pytest.raises(ConfigError, match=r"^config\.model\.levels is 1; allowed: no value: .* use model.name=mlp_vae"):
        check_halving(shape, 1)
