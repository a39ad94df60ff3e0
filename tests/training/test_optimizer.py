import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.options import OptionError
from ctc_jax.training import optimizer
from ctc_jax.training.optimizer import OptimizerOptions


def options(**changes) -> OptimizerOptions:
    return OptimizerOptions(**{"steps": 12, "warmup_steps": 0, **changes})


def test_warmup_is_linear_and_cosine_ends_at_zero():
    chosen = options(steps=110, warmup_steps=10, learning_rate=2.0)
    rate = optimizer.learning_rate(chosen)
    np.testing.assert_allclose([rate(0), rate(5), rate(10)], [0, 1, 2], atol=1e-6)
    np.testing.assert_allclose([rate(60), rate(110)], [1, 0], atol=1e-6)  # half way, and the end, of the cosine


def test_the_schedule_counts_updates_when_batches_are_accumulated():
    chosen = options(steps=100, accumulate=4, learning_rate=1.0)
    np.testing.assert_allclose(optimizer.learning_rate(chosen)(25), 0, atol=1e-6)


def test_constant_schedule():
    chosen = options(schedule="constant", learning_rate=0.5)
    np.testing.assert_allclose(optimizer.learning_rate(chosen)(7), 0.5)


def test_burdas_schedule_has_eight_stages_each_three_times_as_long():
    rate = optimizer.learning_rate(options(steps=3280, schedule="burda", learning_rate=1e-3))
    rates = np.array([rate(step) for step in range(3280)])
    found, lengths = np.unique(rates, return_counts=True)
    np.testing.assert_allclose(found[::-1], 1e-3 * 10.0 ** (-np.arange(8) / 7), rtol=1e-6)
    np.testing.assert_array_equal(lengths[::-1], 3 ** np.arange(8))
    assert np.all(np.diff(rates) <= 0)


def test_epsilon_bounds_the_update_of_a_small_gradient():
    chain = optimizer.build(options(learning_rate=1.0, epsilon=1e-4, schedule="constant"))
    updates, _ = chain.update({"w": jnp.array([1e-4])}, chain.init({"w": jnp.zeros(1)}), {"w": jnp.zeros(1)})
    np.testing.assert_allclose(updates["w"], [-0.5], rtol=1e-5)  # g / (|g| + epsilon)


def test_clipping_bounds_the_whole_gradient_and_decay_pulls_to_zero():
    # Adam's first update has the size of the learning rate whatever the gradient's; its second moment, though,
    # holds the square of the clipped gradient.
    chain = optimizer.build(options(clip_norm=1.0))
    state = chain.init({"w": jnp.zeros(2)})
    _, state = chain.update({"w": jnp.array([30.0, 40.0])}, state, {"w": jnp.zeros(2)})
    second = state[1][0].nu["w"]
    np.testing.assert_allclose(second, 0.001 * np.array([0.6, 0.8]) ** 2, rtol=1e-4)

    chosen = options(optimizer="adamw", weight_decay=0.5, learning_rate=0.1)
    chain = optimizer.build(chosen)
    params = {"w": jnp.array([2.0])}
    updates, _ = chain.update({"w": jnp.zeros(1)}, chain.init(params), params)
    np.testing.assert_allclose(updates["w"], [-0.1 * 0.5 * 2.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 0),
        ("learning_rate", 0.0),
        ("warmup_steps", -1),
        ("warmup_steps", 12),
        ("accumulate", 0),
        ("clip_norm", -1.0),
        ("skip_factor", 1.0),
        ("beta2", 1.0),
        ("weight_decay", 0.1),
        ("schedule", "cosin"),
        ("optimizer", "adma"),
    ],
)
def test_bad_values_name_their_key(key, value):
    with pytest.raises(OptionError, match=rf"^{key} is {value!r}; allowed: "):
        options(**{key: value})
