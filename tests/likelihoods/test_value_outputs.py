import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions import MaskGroup
from ctc_jax.likelihoods.value_outputs import LOG_SCALE_UNIT, ValueOutputs


@pytest.mark.parametrize(
    ("scale", "expected"), [("pixel", 2 * 6 + 3), ("channel", 6 + 3), ("shared", 6 + 3), ("fixed", 6 + 3)]
)
def test_each_scale_has_the_outputs_it_needs(scale, expected):
    module = ValueOutputs(2, 3, 8, scale, 8.0, masks=2, others=1, mask_group=MaskGroup(2))
    features = jax.random.normal(jax.random.key(0), (1, 2, 2, 4))
    parameters = jax.jit(module.init)(jax.random.key(1), features)["params"]
    assert parameters["output"]["kernel"].shape == (expected, 4)
    assert ("log_scale" in parameters) == (scale in ("channel", "shared"))
    masks, others, loc, log_scale = jax.jit(module.apply)({"params": parameters}, features)
    assert (masks.shape, others.shape) == ((2, 1), (1, 4))
    assert loc.shape == log_scale.shape == (1, 2, 2, 2, 3)


def test_a_channels_parameter_moves_only_its_component_and_channel():
    module = ValueOutputs(2, 3, 8, "channel", 8.0)
    features = jnp.ones((1, 1, 1, 4))
    parameters = jax.jit(module.init)(jax.random.key(1), features)
    parameters["params"]["log_scale"] = jnp.arange(6.0).reshape(2, 3) / LOG_SCALE_UNIT
    _, _, _, log_scale = jax.jit(module.apply)(parameters, features)
    np.testing.assert_allclose(log_scale[0, 0, 0], np.arange(6.0).reshape(2, 3))


def test_a_shared_parameter_moves_every_component_of_its_channel():
    module = ValueOutputs(2, 3, 8, "shared", 8.0)
    features = jnp.ones((1, 1, 1, 4))
    parameters = jax.jit(module.init)(jax.random.key(1), features)
    assert parameters["params"]["log_scale"].shape == (1, 3)
    parameters["params"]["log_scale"] = jnp.arange(3.0)[None] / LOG_SCALE_UNIT
    _, _, _, log_scale = jax.jit(module.apply)(parameters, features)
    np.testing.assert_allclose(log_scale[0, 0, 0], [np.arange(3.0)] * 2)
