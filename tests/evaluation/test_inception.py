"""The network against PyTorch's own: torchvision's module with the pooling that pytorch-fid puts into it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.data import Dataset, Split
from ctc_jax.errors import ConfigError
from ctc_jax.evaluation import read_options
from ctc_jax.evaluation.inception import _average, _maximum, expected_shapes, inception_space, read_weights
from ctc_jax.options import OptionError

# Made once by that module in float32, of the weights and images below: some features of both, and their means.
PLACES = [0, 319, 320, 1087, 1088, 1500, 1856, 2047]
FEATURES = [
    [0.99254, 0.04183, 0.15687, 1.33558, 3.61326, 0.00189, 14.82484, 25.16305],
    [0.99360, 0.00653, 0.10665, 1.49557, 4.69360, 0.0, 15.08626, 24.79452],
]
MEANS = [3.492605, 3.652164]


def draw(name, shape, random):
    if name.endswith("conv.weight"):
        return random.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
    scales = name.endswith(("bn.weight", "running_var"))
    return random.uniform(0.5, 1.5, shape) if scales else 0.1 * random.normal(size=shape)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    random = np.random.default_rng(0)
    made = {name: draw(name, shape, random).astype(np.float32) for name, shape in sorted(expected_shapes().items())}
    path = tmp_path_factory.mktemp("weights") / "inception.npz"
    np.savez(path, **made, **{"fc.bias": np.zeros(1008, np.float32)})
    return path, made


@pytest.mark.slow
def test_features_are_those_of_pytorch(weights):
    images = np.random.default_rng(1).uniform(size=(2, 20, 24, 1))
    space = inception_space(str(weights[0]))
    found = np.asarray(space.extract(jnp.asarray(images, jnp.float32)))
    np.testing.assert_allclose(found[:, PLACES], FEATURES, atol=2e-4)
    np.testing.assert_allclose(found.mean(axis=1), MEANS, rtol=1e-5)


def test_there_are_as_many_numbers_as_in_the_published_network():
    shapes = expected_shapes()
    assert len(shapes) == 94 * 5
    # 21,785,568 are learned; the others are the running means and variances of 94 convolutions.
    learned = sum(int(np.prod(shape)) for name, shape in shapes.items() if "running" not in name)
    assert learned == 21_785_568


def test_pooling_at_the_border_knows_what_is_there():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 5, 3)), jnp.float32)
    average, largest = jax.jit(_average)(x), jax.jit(lambda x: _maximum(x, 1))(x)
    np.testing.assert_allclose(average[:, 0, 0], x[:, :2, :2].mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(average[:, 1, 2], x[:, :3, 1:4].mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(largest[:, 3, 4], x[:, 2:, 3:].max(axis=(1, 2)))


def test_weights_are_read_by_name_and_the_rest_is_left(weights):
    path, made = weights
    found = read_weights(str(path))
    assert found.keys() == made.keys()
    np.testing.assert_array_equal(found["Mixed_7c.branch_pool.conv.weight"], made["Mixed_7c.branch_pool.conv.weight"])


def changed(made, **changes):
    return {name: changes.get(name.replace(".", "_"), array) for name, array in made.items()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "Conv2d_1a_3x3.conv.weight is missing"),
        (
            {"Mixed_5b_branch1x1_conv_weight": np.zeros((1, 1, 192, 64), np.float32)},
            "of shape (1, 1, 192, 64), not floats",
        ),
        (
            {"Mixed_5b_branch1x1_bn_bias": np.full(64, np.nan, np.float32)},
            "Mixed_5b.branch1x1.bn.bias holds numbers that",
        ),
    ],
)
def test_weights_that_do_not_fit_are_told_in_one_line(weights, tmp_path, change, words):
    np.savez(tmp_path / "wrong.npz", **(changed(weights[1], **change) if change else {"x": np.zeros(1)}))
    with pytest.raises(OptionError) as told:
        read_weights(str(tmp_path / "wrong.npz"))
    assert str(told.value).startswith(f"inception_weights is '{tmp_path}/wrong.npz'; allowed: an .npz of Inception-v3")
    assert words in str(told.value)


def test_a_file_that_is_none_is_told_by_its_key_where_it_would_be_used(tmp_path):
    split = Split(np.zeros((9, 4, 4, 1), np.uint8), np.zeros(9, np.int32))
    dataset = Dataset("noise", split, split, split, bits=1, classes=2, binarization="static")
    asked = {"quality_samples": 6, "inception_weights": str(tmp_path / "none.npz")}
    with pytest.raises(ConfigError, match=r"^config\.evaluate\.inception_weights is .*; here is no such file"):
        read_options(asked, dataset)
    assert read_options({**asked, "quality_samples": 0}, dataset).inception_weights
    (tmp_path / "none.npz").write_text("not a file of arrays")
    with pytest.raises(ConfigError, match=r"here is no \.npz of numbers"):
        read_options(asked, dataset)
    (tmp_path / "none.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ConfigError, match=r"here is no \.npz of numbers"):
        read_options(asked, dataset)
