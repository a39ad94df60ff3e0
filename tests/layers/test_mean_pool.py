import jax.numpy as jnp
import numpy as np

from ctc_jax.layers import mean_pool, repeat


def test_a_patch_becomes_its_mean_and_a_position_a_patch():
    image = jnp.arange(24.0).reshape(1, 4, 6, 1)
    means = np.asarray(mean_pool(image, 2))[0, ..., 0]
    np.testing.assert_array_equal(means, [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]])
    larger = np.asarray(repeat(jnp.asarray(means)[None, ..., None], 2))[0, ..., 0]
    np.testing.assert_array_equal(larger, np.kron(means, np.ones((2, 2))))
    np.testing.assert_array_equal(mean_pool(repeat(image, 3), 3), image)
