import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import objectives
from ctc_jax.errors import ConfigError
from ctc_jax.objectives import ImportanceWeighted, importance_weighted_bound, log_weights
from tests.objectives.gates import BATCH, GATES, MODEL, exact_loss

DRAWS = 8192
STEP = jnp.zeros((), jnp.int32)


@pytest.mark.parametrize("samples", [2, 3])
def test_the_gradient_through_masks_is_that_of_the_enumerated_bound(samples):
    def one(key):
        return jax.value_and_grad(lambda p: ImportanceWeighted(samples)(MODEL, p, key, BATCH, STEP)[0])(GATES)

    losses, gradients = jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), DRAWS)))
    value, expected = jax.jit(jax.value_and_grad(lambda params: exact_loss(params, samples)))(GATES)
    assert abs(losses.mean() - value) < 4.5 * losses.std() / np.sqrt(DRAWS)
    for name, exact in expected.items():
        error = gradients[name].std(axis=0) / np.sqrt(DRAWS)
        np.testing.assert_array_less(np.abs(gradients[name].mean(axis=0) - exact), 4.5 * error + 1e-5)
        assert (np.abs(exact) > 4.5 * error).any()  # not hidden in the noise


def test_without_masks_it_is_the_bound_of_its_reparameterized_weights(one_latent, params, binary_images):
    """The same weights from the keys of `log_weights` give the same loss on average, and the same gradient."""
    samples = 3

    def of_objective(key):
        return ImportanceWeighted(samples)(one_latent, params, key, binary_images, STEP)[0]

    def of_weights(key):
        keys = jax.random.split(key, (16, samples))
        return -importance_weighted_bound(log_weights(one_latent, params, keys, binary_images)).mean()

    keys = jax.random.split(jax.random.key(1), 2048)
    a, b = (np.asarray(jax.jit(jax.vmap(of))(keys)) for of in (of_objective, of_weights))
    assert abs(a.mean() - b.mean()) < 4.5 * np.hypot(a.std(), b.std()) / np.sqrt(len(keys))


def test_the_gradient_without_masks_is_that_of_finite_differences(one_latent, params, binary_images):
    def loss(b):
        moved = {**params, "b": b}
        return ImportanceWeighted(3)(one_latent, moved, jax.random.key(2), binary_images, STEP)[0]

    both = jax.jit(jax.value_and_grad(loss))
    slope = (both(params["b"] + 0.01)[0] - both(params["b"] - 0.01)[0]) / 0.02
    np.testing.assert_allclose(both(params["b"])[1], slope, rtol=0.01)


def test_metrics_are_the_bound_and_the_mean_log_weight():
    compute = jax.jit(lambda key: ImportanceWeighted(4)(MODEL, GATES, key, BATCH, STEP))
    loss, metrics = compute(jax.random.key(3))
    assert metrics["loss_nats"] == loss
    assert metrics["importance_bound_nats"] == -loss
    assert metrics["elbo_nats"] < metrics["importance_bound_nats"]  # Jensen, weight by weight
    assert set(metrics) == {"loss_nats", "elbo_nats", "importance_bound_nats"}


def test_build_reads_the_samples():
    section = {"name": "importance_weighted", "importance_weighted": {"samples": 7}}
    assert objectives.build(section) == ImportanceWeighted(samples=7)


@pytest.mark.parametrize("samples", [0, 1])
def test_one_sample_is_refused(samples):
    with pytest.raises(ConfigError, match=rf"^config\.objective\.importance_weighted\.samples is {samples}; allowed: "):
        objectives.build({"name": "importance_weighted", "importance_weighted": {"samples": samples}})
