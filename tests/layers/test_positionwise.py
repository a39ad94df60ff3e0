import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.layers import positionwise


@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_the_layer(bias):
    features = jax.random.normal(jax.random.key(0), (2, 4, 3, 5))
    dense = nn.Dense(7, use_bias=bias)
    params = dense.init(jax.random.key(1), features)
    at_each = nn.apply(positionwise, dense)
    np.testing.assert_allclose(at_each(params, features), dense.apply(params, features), rtol=1e-5, atol=1e-6)
    jax.tree.map(
        lambda ours, plain: np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5),
        jax.grad(lambda *of: (at_each(*of) ** 3).sum(), (0, 1))(params, features),
        jax.grad(lambda *of: (dense.apply(*of) ** 3).sum(), (0, 1))(params, features),
    )


def test_no_transposition_is_compiled_into_the_kernels_gradient():
    dense, features = nn.Dense(16), jnp.ones((4, 8, 8, 8))
    params = dense.init(jax.random.key(1), features)

    def transpositions(layer):
        gradient = jax.jit(jax.grad(lambda params: (layer(params, features) ** 2).sum()))
        return gradient.lower(params).compile().as_text().count(" transpose(")

    assert transpositions(nn.apply(positionwise, dense)) < transpositions(dense.apply)
