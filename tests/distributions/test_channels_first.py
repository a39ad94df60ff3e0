import jax.numpy as jnp
import numpy as np

from ctc_jax.distributions.channels_first import channels_first


def test_moves_channels_to_the_front_exactly():
    value = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(channels_first(jnp.asarray(value)), np.moveaxis(value, -1, 0))
