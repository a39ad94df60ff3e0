from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from ctc_jax.training.flops import flops


class Dense(nn.Module):
    @nn.compact
    def __call__(self, x):
        hidden = nn.relu(nn.Dense(5, name="first")(x))
        return nn.Dense(2, name="second")(hidden)


def counted(function, *of, parts=()):
    return flops(jax.make_jaxpr(function)(*of), parts)


def test_a_dense_network_is_counted_by_hand_forward_and_backward():
    x, model = jnp.ones((7, 3)), Dense()
    params = model.init(jax.random.key(0), x)
    first, second = 2 * 7 * 3 * 5, 2 * 7 * 5 * 2
    assert counted(model.apply, params, x, parts=("first", "second")) == {"first": first, "second": second}
    # Backward: each kernel's gradient, and that of the second layer's input.
    both = counted(jax.grad(lambda params: model.apply(params, x).sum()), params, parts=("first", "second"))
    assert both == {"first": 2 * first, "second": 3 * second}
    assert counted(model.apply, params, x, parts=("second",)) == {"": first, "second": second}


def test_a_padded_convolution_is_counted_by_hand():
    x, kernel = jnp.ones((2, 6, 5, 3)), jnp.ones((3, 3, 3, 4))
    convolve = partial(jax.lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    same = counted(lambda x: convolve(x, kernel, (1, 1), "SAME"), x)
    assert same[""] == 2 * 2 * 3 * 4 * (3 * 6 - 2) * (3 * 5 - 2)
    valid = counted(lambda x: convolve(x, kernel, (1, 1), "VALID"), x)
    assert valid[""] == 2 * (2 * 4 * 3 * 4) * 27


@pytest.mark.parametrize("grouped", [1, 2])
@pytest.mark.parametrize(("strides", "dilation"), [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((2, 1), (1, 2))])
def test_a_convolution_and_both_of_its_gradients_are_what_xla_counts(strides, dilation, grouped):
    keys = jax.random.split(jax.random.key(0))
    x, kernel = jax.random.normal(keys[0], (2, 8, 6, 4)), jax.random.normal(keys[1], (3, 3, 4 // grouped, 6))

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            strides,
            "SAME",
            rhs_dilation=dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=grouped,
        )

    cotangent = jnp.ones(jax.eval_shape(convolve, x, kernel).shape)
    of_image = lambda x: jax.linear_transpose(lambda x: convolve(x, kernel), x)(cotangent)  # noqa: E731
    of_kernel = lambda kernel: jax.linear_transpose(lambda kernel: convolve(x, kernel), kernel)(cotangent)  # noqa: E731
    for function, at in ((lambda x: convolve(x, kernel), x), (of_image, x), (of_kernel, kernel)):
        known = jax.jit(function).lower(at).cost_analysis()["flops"]
        assert counted(function, at)[""] == pytest.approx(known)


def test_a_loop_counts_as_often_as_it_runs_and_of_branches_the_dearest():
    x = jnp.ones((4, 4))
    looped = counted(lambda x: jax.lax.scan(lambda at, _: (at @ x, None), x, length=5)[0], x)
    assert looped[""] == 5 * 2 * 4**3
    chosen = counted(lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: x @ x @ x, lambda x: x @ x, x), x)
    assert chosen[""] == 2 * 2 * 4**3
    nested = counted(jax.jit(lambda x: jax.checkpoint(lambda x: x @ x)(x)), x)
    assert nested[""] == 2 * 4**3
