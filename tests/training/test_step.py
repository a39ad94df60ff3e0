import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ctc_jax.data import Batch
from ctc_jax.training.step import TrainStep, first_bad
from tests import toys


class Line(toys.Silent):
    """One parameter, whose loss on a batch is (w - mean of the labels)^2; a label of -1 gives a NaN."""

    image_shape = (1, 1, 1)

    def init(self, key):
        return {"w": jnp.zeros(())}


def squared_error(model, params, key, batch, step):
    target = jnp.where(jnp.any(batch.label < 0), jnp.nan, jnp.mean(batch.label.astype(jnp.float32)))
    loss = (params["w"] - target) ** 2
    return loss, {"loss_nats": loss, "elbo_nats": -loss, "target": target}


def batches(labels) -> Batch:
    labels = jnp.asarray(labels, jnp.int32)[:, None]
    return Batch(jnp.zeros((*labels.shape, 1, 1, 1), jnp.uint8), labels)


def run(labels, per_call=1, **options):
    step = TrainStep(Line(), squared_error, options.pop("optimizer", optax.sgd(0.25)), seed=0, **options)
    call, state, metrics = jax.jit(step), step.init(), []
    for first in range(0, len(labels), per_call):
        state, out = call(state, batches(labels[first : first + per_call]))
        metrics.append(out)
    return state, {name: np.concatenate([part[name] for part in metrics]) for name in metrics[0]}


def test_sgd_on_a_square_has_its_closed_form():
    state, metrics = run([4, 4, 4])
    # w <- w - 0.25 * 2 (w - 4): the distance to 4 halves at each step.
    np.testing.assert_allclose(state.params["w"], 4 - 4 / 2**3, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss_nats"], [16, 4, 1], rtol=1e-6)
    np.testing.assert_allclose(metrics["gradient_norm"], [8, 4, 2], rtol=1e-6)
    assert state.step == 3


def test_many_steps_in_a_call_are_the_same_steps():
    labels = [1, 5, 2, 7]
    (one, one_metrics), (four, four_metrics) = run(labels), run(labels, per_call=4)
    np.testing.assert_allclose(one.params["w"], four.params["w"], rtol=1e-6)
    np.testing.assert_allclose(one_metrics["loss_nats"], four_metrics["loss_nats"], rtol=1e-6)


@pytest.mark.parametrize("per_call", [1, 4])
def test_a_bad_step_changes_nothing_but_the_count(per_call):
    state, metrics = run([4, -1, 4, 4], per_call, optimizer=optax.adam(0.1), ema_decay=0.5)
    clean, _ = run([4, 4, 4], optimizer=optax.adam(0.1), ema_decay=0.5)
    np.testing.assert_allclose(state.params["w"], clean.params["w"], rtol=1e-6)
    np.testing.assert_allclose(state.evaluated["w"], clean.evaluated["w"], rtol=1e-6)
    assert (state.step, state.bad_steps) == (4, 0)
    assert first_bad(metrics) == (1, "target")


def test_two_bad_steps_in_a_row_stop_the_state_for_good():
    state, _ = run([4, -1, -1, 4, 4])
    assert (state.step, state.bad_steps) == (3, 2)
    np.testing.assert_allclose(state.params["w"], 2.0)


def test_the_first_bad_metric_is_the_cause_and_not_its_effects():
    metrics = {"elbo_nats": np.array([0.0, np.nan]), "kl_nats/z": np.array([0.0, np.inf]), "loss_nats": np.zeros(2)}
    assert first_bad(metrics) == (1, "kl_nats/z")
    assert first_bad({"loss_nats": np.zeros(2)}) is None


def test_accumulated_batches_are_one_batch_of_their_mean():
    # The mean of two gradients of (w - y)^2 is the gradient at the mean label.
    halves = optax.MultiSteps(optax.sgd(0.25), 2).gradient_transformation()
    state, _ = run([2, 6, 2, 6], optimizer=halves, accumulate=2, ema_decay=0.5)
    whole, _ = run([4, 4], ema_decay=0.5)
    np.testing.assert_allclose(state.params["w"], whole.params["w"], rtol=1e-6)
    np.testing.assert_allclose(state.evaluated["w"], whole.evaluated["w"], rtol=1e-6)


def closed_form(params, decay):
    """The mean of what was trained, the newest with weight 1 and each older one with `decay` times less, in float64."""
    weights = decay ** np.arange(len(params) - 1, -1, -1, dtype=np.float64)
    return weights @ np.asarray(params, np.float64) / weights.sum()


@pytest.mark.parametrize(("updates", "decay"), [(1, 0.9999), (10, 0.9999), (10, 0.5), (1000, 0.9999), (1000, 0.9)])
def test_the_average_is_one_of_what_was_trained(updates, decay):
    # w is pulled to 4 from 0, slowly, so that where it started would show in any average that holds a part of it.
    rate = 0.002
    state, _ = run([4] * updates, per_call=updates, optimizer=optax.sgd(rate), ema_decay=decay)
    trained = 4 * (1 - (1 - 2 * rate) ** np.arange(1, updates + 1))
    np.testing.assert_allclose(state.evaluated["w"], closed_form(trained, decay), rtol=2e-5)
    assert state.average.updates == updates


def test_before_the_first_update_the_average_is_the_initial_parameters():
    state, _ = run([-1], ema_decay=0.9)
    assert (state.evaluated["w"], state.average.updates) == (0.0, 0)


def test_an_accumulated_average_counts_updates_and_not_batches():
    halves = optax.MultiSteps(optax.sgd(0.25), 2).gradient_transformation()
    state, _ = run([4, 4, -1, 4, 4, 4], optimizer=halves, accumulate=2, ema_decay=0.75)
    # Two updates and half of a third: w is 2 and 3 after them.
    np.testing.assert_allclose(state.evaluated["w"], closed_form([2, 3], 0.75), rtol=1e-6)
    assert state.average.updates == 2
