import flax.linen as nn
import jax
import numpy as np
import pytest

from ctc_jax.distributions import MaskGroup
from ctc_jax.likelihoods.factored import FactoredDense
from ctc_jax.likelihoods.output_layer import OutputLayer, values_last


def test_is_a_dense_layer_in_units_split_into_groups():
    layer = OutputLayer(((10.0, 20.0), (1.0,)), ((1.0, -1.0), (0.5,)))
    features = jax.random.normal(jax.random.key(0), (2, 3, 2, 5))
    parameters = jax.jit(layer.init)(jax.random.key(1), features)
    kernel, bias = (np.asarray(parameters["params"][name], np.float64) for name in ("kernel", "bias"))
    np.testing.assert_array_equal(bias, [1, -1, 0.5])
    expected = (np.float64(features).reshape(12, 5) @ kernel.T + bias) * [10, 20, 1]
    first, second = jax.jit(layer.apply)(parameters, features)
    np.testing.assert_allclose(np.concatenate([first, second]), expected.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("features", [2, 5])
def test_gradients_are_those_of_a_dense_layer_with_fewer_or_more_features_than_outputs(features):
    layer = OutputLayer(((10.0, 20.0), (1.0,)), ((1.0, -1.0), (0.5,)))
    inputs = jax.random.normal(jax.random.key(0), (2, 3, 2, features))
    parameters = jax.jit(layer.init)(jax.random.key(1), inputs)
    cotangent = jax.random.normal(jax.random.key(2), (3, 12))
    _, pull = jax.vjp(layer.apply, parameters, inputs)
    found, by_inputs = pull((cotangent[:2], cotangent[2:]))
    scaled = np.float64(cotangent) * [[10], [20], [1]]
    kernel = np.float64(parameters["params"]["kernel"])
    np.testing.assert_allclose(found["params"]["bias"], scaled.sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        found["params"]["kernel"], scaled @ np.float64(inputs).reshape(12, -1), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(by_inputs.reshape(12, -1), scaled.T @ kernel, rtol=1e-4, atol=1e-5)


def test_a_groups_mean_is_the_mean_of_its_pixels_outputs():
    units, start = ((10.0,), (1.0, 3.0), (2.0,)), ((1.0,), (0.5, 0.0), (0.0,))
    features = jax.random.normal(jax.random.key(0), (2, 4, 6, 5))
    each = OutputLayer(units, start)
    parameters = jax.jit(each.init)(jax.random.key(1), features)
    first, second, third = jax.jit(each.apply)(parameters, features)
    found = OutputLayer(units, start, mean_over=(MaskGroup(1), MaskGroup(2), MaskGroup(0))).apply(parameters, features)
    np.testing.assert_allclose(found[0], first, rtol=1e-5)
    means = np.asarray(second).reshape(2, 2, 2, 2, 3, 2).mean((3, 5)).reshape(2, -1)
    np.testing.assert_allclose(found[1], means, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[2], np.asarray(third).reshape(1, 2, 24).mean(-1), rtol=1e-4, atol=1e-6)


def test_values_last_reverses_values_behind_positions():
    outputs = jax.numpy.arange(24.0).reshape(6, 4)
    found = np.asarray(values_last(outputs, (2, 3), (2, 2)))
    assert found.shape == (2, 2, 3, 2)
    assert found[1, 0, 2, 1] == outputs[1 * 3 + 2, 2]


@pytest.mark.parametrize(("gains", "expected"), [((), (0.1, 0.1)), ((0.3, 0.05), (0.3, 0.05))])
def test_each_group_starts_with_its_gain(gains, expected):
    layer = OutputLayer(((1.0,) * 2000, (7.0,) * 1000), ((0.0,) * 2000, (0.0,) * 1000), gains)
    parameters = jax.jit(layer.init)(jax.random.key(0), jax.numpy.zeros((1, 1, 1, 25)))
    kernel = parameters["params"]["kernel"]
    for part, gain in zip((kernel[:2000], kernel[2000:]), expected, strict=True):
        # A product of 25 features of variance 1 has standard deviation 5 times the kernel's.
        assert abs(5 * part.std() / gain - 1) < 4.5 / np.sqrt(2 * part.size)


@pytest.mark.parametrize("outputs", [1, 3, 6])
def test_features_that_are_not_multiplied_out_give_the_same_outputs_and_gradients(outputs):
    """With fewer outputs than features, and with more."""
    dense, layer = FactoredDense((2, 3, 4)), OutputLayer(((8.0,) * outputs, (2.0,)), ((0.5,) * outputs, (1.0,)))
    hidden = jax.random.normal(jax.random.key(0), (5, 7))
    parameters = dense.init(jax.random.key(1), hidden)
    parameters["params"]["bias"] = jax.random.normal(jax.random.key(2), (24,))
    upper = layer.init(jax.random.key(3), dense.apply(parameters, hidden))

    def summed(parameters, upper, hidden, multiplied):
        features = dense.apply(parameters, hidden)
        first, second = layer.apply(upper, features.product if multiplied else features)
        return jax.numpy.sum(jax.numpy.sin(first)) + jax.numpy.sum(jax.numpy.cos(second)), (first, second)

    grad = jax.jit(jax.grad(summed, (0, 1, 2), has_aux=True), static_argnums=3)
    found, expected = (grad(parameters, upper, hidden, multiplied) for multiplied in (False, True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), found, expected)


def test_a_dense_layer_not_applied_yet_is_that_of_flax():
    hidden = jax.random.normal(jax.random.key(0), (5, 7))
    dense, flax = FactoredDense((2, 3, 4)), nn.Dense(24)
    ours, theirs = (layer.init(jax.random.key(1), hidden) for layer in (dense, flax))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    np.testing.assert_allclose(
        dense.apply(ours, hidden).product, flax.apply(theirs, hidden).reshape(5, 2, 3, 4), rtol=1e-5, atol=1e-6
    )
