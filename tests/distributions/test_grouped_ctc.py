import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from numpyro.distributions import Distribution
from scipy import stats
from scipy.special import log_softmax, logsumexp

from ctc_jax.distributions import DiscretizedLogistic, GroupedCTC, MaskGroup


def random_parameters(batch, height, width, components, channels, bits, *, group="pixel", off=False, slopes=False):
    """Keyword arguments of `GroupedCTC`, float32 numpy arrays."""
    random = np.random.default_rng(0)
    last = 2**bits - 1
    shape = (*batch, height, width, components)
    rows, columns = MaskGroup.parse(group).grid(height, width)
    pairs = channels * (channels - 1) // 2
    return {
        "logits": random.normal(size=(*batch, rows, columns, components + off)).astype(np.float32),
        "loc": random.uniform(-0.2 * last, 1.2 * last, (*shape, channels)).astype(np.float32),
        "log_scale": random.uniform(-2, np.log(last + 1) - 1, (*shape, channels)).astype(np.float32),
        "coefficients": random.uniform(-1, 1, (*shape, pairs)).astype(np.float32) if slopes else None,
        "bits": bits,
        "mask_group": MaskGroup.parse(group),
        "off": off,
    }


def build(parameters, **changes):
    return GroupedCTC(
        **jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, parameters | changes)
    )


@jax.jit
def log_prob(distribution, value):
    return distribution.log_prob(value)


def all_images(bits, height, width, channels):
    size = height * width * channels
    images = np.array(list(itertools.product(range(2**bits), repeat=size)), np.int32)
    return images.reshape(-1, 1, height, width, channels)


def test_matches_the_formula_written_with_loops(exact_log_mass):
    bits, group = 3, "patch:2"
    parameters = random_parameters((2,), 4, 2, 3, 3, bits, group=group, off=True, slopes=True)
    value = np.random.default_rng(1).integers(0, 8, (2, 4, 2, 3))
    value[0, :2] = 0
    expected = np.zeros(2)
    for b, i in itertools.product(range(2), range(2)):
        log_pi = log_softmax(parameters["logits"][b, i, 0].astype(np.float64))
        terms = []
        for k in range(3):
            inside = 0.0
            for y, x in itertools.product((2 * i, 2 * i + 1), range(2)):
                slopes = dict(zip(((1, 0), (2, 0), (2, 1)), parameters["coefficients"][b, y, x, k], strict=True))
                for c in range(3):
                    loc = parameters["loc"][b, y, x, k, c] + sum(
                        slopes[c, j] * (value[b, y, x, j] - 3.5) for j in range(c)
                    )
                    log_scale = parameters["log_scale"][b, y, x, k, c]
                    inside += exact_log_mass("logistic", value[b, y, x, c], loc, log_scale, bits)
            terms.append(log_pi[k] + inside)
        if not value[b, 2 * i : 2 * i + 2].any():
            terms.append(log_pi[3])
        expected[b] += logsumexp(terms)
    np.testing.assert_allclose(log_prob(build(parameters), jnp.asarray(value)), expected, rtol=1e-5)


def test_autoregressive_pixels_are_pixelcnn_plus_plus(exact_log_mass):
    """Salimans et al. 2017, eq. 2-3, in their units: pixels rescaled to [-1, 1], bins 2/255 wide."""
    parameters = random_parameters((1,), 1, 1, 4, 3, 8, slopes=True)
    parameters["log_scale"] = 3 + 0.3 * parameters["log_scale"]  # wide, so that the oracle's sigmoids do not saturate
    value = np.array([31, 255, 0])
    x = value / 127.5 - 1
    means = parameters["loc"][0, 0, 0].astype(np.float64) / 127.5 - 1
    scales = np.exp(parameters["log_scale"][0, 0, 0].astype(np.float64)) / 127.5
    alpha, beta, gamma = parameters["coefficients"][0, 0, 0].astype(np.float64).T
    red = means[:, 0]
    green = means[:, 1] + alpha * x[0]
    blue = means[:, 2] + beta * x[0] + gamma * x[1]

    def sigmoid(z):
        return (1 + np.tanh(z / 2)) / 2

    probability = 0.0
    for k, pi in enumerate(np.exp(log_softmax(parameters["logits"][0, 0, 0].astype(np.float64)))):
        product = 1.0
        for c, mean in enumerate((red[k], green[k], blue[k])):
            upper = 1.0 if value[c] == 255 else sigmoid((x[c] + 1 / 255 - mean) / scales[k, c])
            lower = 0.0 if value[c] == 0 else sigmoid((x[c] - 1 / 255 - mean) / scales[k, c])
            product *= upper - lower
        probability += pi * product
    found = log_prob(build(parameters), jnp.asarray(value).reshape(1, 1, 1, 3))
    np.testing.assert_allclose(found, [np.log(probability)], rtol=1e-5)


@pytest.mark.parametrize(
    ("bits", "height", "width", "channels", "options"),
    [
        (3, 1, 2, 1, {"group": "image"}),
        (2, 2, 2, 1, {"group": "image", "off": True}),
        (3, 1, 1, 2, {"slopes": True}),
        (2, 1, 1, 3, {"slopes": True, "off": True}),
        (1, 1, 1, 4, {"slopes": True}),
        (2, 1, 2, 1, {"off": True}),
    ],
)
@pytest.mark.parametrize("family", ["logistic", "gaussian"])
def test_masses_sum_to_one(bits, height, width, channels, options, family):
    parameters = random_parameters((1,), height, width, 3, channels, bits, **options)
    total = log_prob(build(parameters, family=family), jnp.asarray(all_images(bits, height, width, channels)))
    np.testing.assert_allclose(np.exp(np.float64(total)).sum(), 1, atol=1e-5)


def test_channels_are_summed_inside_the_mixture():
    """Two colors that never mix: a sum outside the logsumexp would give the crossed color the same mass."""
    loc = jnp.asarray([[10.0, 200.0], [200.0, 10.0]]).reshape(1, 1, 1, 2, 2)
    both = GroupedCTC(jnp.zeros((1, 1, 1, 2)), loc, jnp.full_like(loc, -1.0), bits=8)
    straight = log_prob(both, jnp.asarray([10, 200]).reshape(1, 1, 1, 2))
    crossed = log_prob(both, jnp.asarray([10, 10]).reshape(1, 1, 1, 2))
    one = DiscretizedLogistic(jnp.asarray(10.0), jnp.asarray(-1.0), bits=8).log_prob(jnp.asarray(10))
    np.testing.assert_allclose(straight, 2 * one - np.log(2), rtol=1e-5)
    assert crossed[0] < -300


def test_one_component_is_the_unimodal_logistic():
    parameters = random_parameters((2,), 3, 3, 1, 3, 8)
    value = jnp.asarray(np.random.default_rng(2).integers(0, 256, (2, 3, 3, 3)))
    plain = DiscretizedLogistic(
        *(jnp.asarray(parameters[name][..., 0, :]) for name in ("loc", "log_scale")), bits=8
    ).to_event(3)
    np.testing.assert_allclose(log_prob(build(parameters), value), log_prob(plain, value), rtol=1e-6)


def test_gradients_match_central_differences():
    parameters = random_parameters((1,), 2, 2, 2, 2, 4, group="patch:2", off=True, slopes=True)
    value = jnp.zeros((1, 2, 2, 2), jnp.uint8).at[0, 0, 1, 0].set(3)
    fixed = {name: parameters.pop(name) for name in ("bits", "mask_group", "off")}
    parameters = jax.tree.map(jnp.asarray, parameters)

    @jax.jit
    def nats(parameters, value):
        return GroupedCTC(**parameters, **fixed).log_prob(value)[0]

    random = np.random.default_rng(3)
    for image in (value, jnp.zeros_like(value)):
        gradient = jax.grad(nats)(parameters, image)
        direction = jax.tree.map(lambda a: jnp.asarray(random.normal(size=a.shape), jnp.float32), parameters)
        found = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
        step = 5e-3
        ahead, behind = (
            nats(jax.tree.map(lambda a, d: a + sign * step * d, parameters, direction), image)  # noqa: B023
            for sign in (1, -1)
        )
        # float32 values near 20 nats are rounded by 1e-6, divided by the step.
        np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("options", [{"slopes": True, "off": True}, {"group": "image", "off": True}])
def test_sample_frequencies_are_the_masses(options):
    channels = 2 if options.get("slopes") else 1
    distribution = build(random_parameters((1,), 1, 3 - channels, 2, channels, 2, **options))
    count = 20_000
    images = all_images(2, 1, 3 - channels, channels)
    mass = np.exp(np.float64(log_prob(distribution, jnp.asarray(images))))[:, 0]
    draws = np.asarray(jax.jit(lambda of, key: of.sample(key, (count,)))(distribution, jax.random.key(5))).reshape(
        count, -1
    )
    assert draws.shape[1] == 2
    seen = np.bincount(draws[:, 0] * 4 + draws[:, 1], minlength=16)
    assert stats.chisquare(seen, mass / mass.sum() * count).pvalue > 1e-4


@pytest.mark.parametrize("options", [{"group": "image", "off": True}, {"group": "pixel", "off": True}])
def test_mean_is_the_expectation_over_all_images(options):
    distribution = build(random_parameters((1,), 1, 2, 3, 1, 3, **options))
    images = all_images(3, 1, 2, 1)
    mass = np.exp(np.float64(log_prob(distribution, jnp.asarray(images))))
    expected = (mass[..., None, None, None] * images).sum(0)
    np.testing.assert_allclose(jax.jit(lambda of: of.mean)(distribution), expected, rtol=1e-4)


def test_mode_is_the_best_image_of_the_likeliest_mask():
    parameters = random_parameters((1,), 2, 2, 3, 2, 2, group="image")
    best = int(parameters["logits"].argmax())
    alone = build(
        parameters,
        logits=np.zeros((1, 1, 1, 1), np.float32),
        loc=parameters["loc"][..., best : best + 1, :],
        log_scale=parameters["log_scale"][..., best : best + 1, :],
    )
    mode = jax.jit(lambda of: of.mode)(build(parameters))
    images = jnp.asarray(all_images(2, 2, 2, 1))[::37]
    others = jnp.concatenate([images, images[::-1]], axis=-1)
    assert np.all(np.asarray(log_prob(alone, others)) <= float(log_prob(alone, mode)[0]) + 1e-5)


def test_the_mode_of_a_group_that_is_off_is_black():
    parameters = random_parameters((1,), 2, 2, 2, 1, 3, off=True)
    parameters["logits"][..., 2] = [[[9.0, -9.0], [-9.0, 9.0]]]
    mode = np.asarray(build(parameters, loc=np.full_like(parameters["loc"], 5.0)).mode)[0, ..., 0]
    np.testing.assert_array_equal(mode, [[0, 5], [5, 0]])


def test_an_off_component_gives_finite_gradients_where_it_is_impossible():
    parameters = random_parameters((1,), 2, 2, 2, 1, 8, off=True)

    @jax.jit
    def nats(logits):
        return build(parameters, logits=logits).log_prob(jnp.full((1, 2, 2, 1), 200)).sum()

    assert np.all(np.isfinite(jax.grad(nats)(jnp.asarray(parameters["logits"]))))


def test_jit_vmap_and_leading_axes_agree_with_plain_calls():
    distribution = build(random_parameters((2,), 2, 2, 2, 3, 8, slopes=True))
    assert isinstance(distribution, Distribution)
    value = distribution.sample(jax.random.key(6), (3,))
    assert value.shape == (3, 2, 2, 2, 3)
    assert value.dtype == jnp.int32
    one_by_one = jnp.stack([log_prob(distribution, v) for v in value])
    np.testing.assert_allclose(log_prob(distribution, value), one_by_one, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(log_prob, in_axes=(None, 0))(distribution, value), one_by_one, rtol=1e-5)


def test_a_batch_spread_over_devices_has_the_same_gradient():
    parameters = random_parameters((4,), 2, 2, 2, 3, 8)
    value = np.random.default_rng(7).integers(0, 256, (4, 2, 2, 3)).astype(np.uint8)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    names = ("logits", "loc", "log_scale")
    arrays = [parameters[name] for name in names]

    @jax.jit
    def gradient(arrays, value):
        def total(arrays):
            return GroupedCTC(*arrays, bits=8).log_prob(value).sum()

        return jax.grad(total)(arrays)

    alone = gradient([jnp.asarray(a) for a in arrays], jnp.asarray(value))
    spread = gradient([jax.device_put(a, sharding) for a in arrays], jax.device_put(value, sharding))
    for one, other in zip(alone, spread, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("group", "off"), [("pixel", False), ("patch:2", True), ("image", False)])
def test_annealed_log_prob_is_the_power_mean_of_the_components(group, off):
    parameters = random_parameters((3,), 4, 2, 5, 1, 4, group=group, off=off)
    value = jnp.asarray(np.random.default_rng(1).integers(0, 16, (3, 4, 2, 1))).at[0].set(0)
    distribution = build(parameters)
    log_pi = log_softmax(np.moveaxis(parameters["logits"], -1, 0).astype(np.float64), axis=0)
    log_f = np.asarray(jax.jit(GroupedCTC.component_log_prob)(distribution, value), np.float64)
    for inverse in (0.01, 0.3, 1.0):
        expected = (logsumexp(log_pi + inverse * log_f, axis=0) / inverse).sum((-2, -1))
        annealed = jax.jit(GroupedCTC.annealed_log_prob)(distribution, value, jnp.float32(inverse))
        np.testing.assert_allclose(annealed, expected, rtol=2e-5)


def test_annealing_moves_only_locations_by_the_flattened_posterior():
    parameters = random_parameters((3,), 2, 2, 4, 1, 4, group="image")
    value = jnp.asarray(np.random.default_rng(1).integers(0, 16, (3, 2, 2, 1)))
    log_pi = log_softmax(parameters["logits"][:, 0, 0].astype(np.float64), axis=-1)
    inverse = 0.05

    def total(logits, loc, log_scale, method):
        distribution = build(parameters, logits=logits, loc=loc, log_scale=log_scale)
        return method(distribution).sum()

    def gradients(method):
        of = jax.jit(jax.grad(total, argnums=(0, 1, 2)), static_argnums=3)
        return jax.device_get(of(parameters["logits"], parameters["loc"], parameters["log_scale"], method))

    def annealed(at):
        return lambda distribution: distribution.annealed_log_prob(value, jnp.float32(at))

    by_logits, by_loc, by_log_scale = gradients(annealed(inverse))
    log_f = np.asarray(jax.jit(GroupedCTC.component_log_prob)(build(parameters), value), np.float64)[:, :, 0, 0].T
    posterior = np.exp(log_softmax(log_pi + inverse * log_f, axis=-1))
    component = gradients(lambda distribution: distribution.component_log_prob(value))[1]
    np.testing.assert_allclose(by_loc, posterior[:, None, None, :, None] * component, rtol=2e-4, atol=1e-6)
    assert not by_logits.any()
    assert not by_log_scale.any()
    for ours, exact in zip(gradients(annealed(1.0)), gradients(lambda d: d.log_prob(value)), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=1e-7)
