import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.evaluation import bits_per_dimension, bounds, evaluate_elbo, evaluate_importance
from ctc_jax.objectives import importance_weighted_bound
from ctc_jax.training.mesh import data_mesh, replicated

BATCH_SIZES = [1, 3, 7, 11, 20]


def sharding(devices):
    return replicated(data_mesh(jax.devices()[:devices])) if devices else None


def test_bits_per_dimension_of_uniform_levels_are_their_bits():
    nats = -8 * 8 * 3 * np.log(2.0**5)
    np.testing.assert_allclose(bits_per_dimension(nats, (8, 8, 3)), 5.0, rtol=1e-12)


@pytest.mark.parametrize("devices", [None, 1, 4])
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_elbo_counts_each_image_exactly_once(numbered, numbered_split, batch_size, devices):
    number = numbered_split.images[:, 0, 0, 0].astype(float)
    found = evaluate_elbo(
        numbered, jnp.float32(-2.0), numbered_split, batch_size=batch_size, seed=0, sharding=sharding(devices)
    )
    likelihood, low, high = np.mean(-2 * number**2), np.mean(number), 5.0
    elbo = likelihood - low - high
    expected = {
        "elbo_nats": elbo,
        "bound_bpd": -elbo / (2 * np.log(2.0)),
        "log_likelihood_nats": likelihood,
        "kl_nats/low": low,
        "kl_nats/high": high,
    }
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("devices", [None, 1, 4])
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_importance_bound_has_one_value_for_each_image_in_order(numbered, numbered_split, batch_size, devices):
    found = evaluate_importance(
        numbered,
        jnp.float32(-2.0),
        numbered_split,
        samples=3,
        batch_size=batch_size,
        seed=0,
        sharding=sharding(devices),
    )
    np.testing.assert_allclose(found, -2.0 * numbered_split.images[:, 0, 0, 0].astype(float), rtol=1e-6)


def test_figures_depend_neither_on_the_batch_size_nor_on_the_devices(scaled, scaled_params, binary_split):
    settings = [(11, None), (3, 1), (7, 4)]
    elbos, importance = [], []
    for batch_size, devices in settings:
        shared = {"batch_size": batch_size, "seed": 3, "sharding": sharding(devices)}
        elbos.append(list(evaluate_elbo(scaled, scaled_params, binary_split, **shared).values()))
        importance.append(evaluate_importance(scaled, scaled_params, binary_split, samples=4, **shared))
    np.testing.assert_allclose(elbos[1:], np.tile(elbos[0], (2, 1)), rtol=1e-5)
    np.testing.assert_allclose(importance[1:], np.tile(importance[0], (2, 1)), rtol=1e-5)


def test_figures_do_depend_on_the_seed(scaled, scaled_params, binary_split):
    first, second = (
        evaluate_importance(scaled, scaled_params, binary_split, samples=4, batch_size=11, seed=seed) for seed in (0, 1)
    )
    assert np.abs(first - second).min() > 0


@pytest.mark.parametrize("samples", [12, 13])
def test_samples_taken_in_several_calls_are_those_of_one(scaled, scaled_params, binary_split, monkeypatch, samples):
    shared = {"samples": samples, "batch_size": 11, "seed": 0}
    whole = evaluate_importance(scaled, scaled_params, binary_split, **shared)
    monkeypatch.setattr(bounds, "SAMPLES_PER_CALL", 4)  # of 13 in four calls the last has one
    np.testing.assert_allclose(evaluate_importance(scaled, scaled_params, binary_split, **shared), whole, rtol=1e-6)


def test_a_call_is_of_one_shape_however_many_samples_there_are(scaled, scaled_params, binary_split, monkeypatch):
    """So its memory does not grow with them, and nothing is compiled again."""
    monkeypatch.setattr(bounds, "SAMPLES_PER_CALL", 5)
    monkeypatch.setattr(bounds, "IMAGES_PER_CALL", 30)
    shapes = []
    original = bounds._add

    def spy(model, chunk, *rest):
        shapes.append((chunk, rest[2].image.shape[0], rest[-1].total.shape))
        return original(model, chunk, *rest)

    monkeypatch.setattr(bounds, "_add", spy)
    before = original._cache_size()
    for samples in (10, 50, 115):
        evaluate_importance(scaled, scaled_params, binary_split, samples=samples, batch_size=11, seed=0)
    assert set(shapes) == {(5, 6, (6,))}
    assert len(shapes) == 2 * (2 + 10 + 23)
    assert original._cache_size() == before + 1


def test_sums_of_weights_neither_overflow_nor_lose_the_small():
    weights = np.array([[-3000.0, 500.0, 500.0 + np.log(2.0)], [-1e4, -1e4, -np.inf], [-np.inf] * 3])
    sums = bounds._Sums.none(jnp.arange(3))
    for column in weights.T:
        sums = sums.plus(jnp.asarray(column, jnp.float32)[:, None])
    np.testing.assert_allclose(sums.log_mean(3), [500.0, -1e4 + np.log(2 / 3), -np.inf], rtol=1e-6)


def test_sample_k_of_image_i_uses_the_key_folded_with_i_then_k(scaled, scaled_params, binary_split):
    found = evaluate_importance(scaled, scaled_params, binary_split, samples=2, batch_size=4, seed=5)
    image = 6
    batch = bounds.Batch(
        jnp.asarray(binary_split.images[image : image + 1]), jnp.asarray(binary_split.labels[image : image + 1])
    )
    weights = []
    for sample in range(2):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(5), image), sample)
        weights.append(jax.jit(lambda key: scaled.infer(scaled_params, key, batch).log_weight)(key))
    np.testing.assert_allclose(found[image], importance_weighted_bound(jnp.concatenate(weights)), rtol=1e-5)


def test_bounds_are_consistent_with_the_exact_evidence(scaled, scaled_params, binary_split):
    """ELBO < K-sample bound < log p(x) of the whole split, the last within what 4096 samples leave."""
    z = np.linspace(-9.0, 9.0, 1801)
    logits = z[:, None] * np.asarray(scaled_params, np.float64).reshape(1, 16)
    image = binary_split.images.reshape(11, 1, 16)
    log_likelihood = np.where(image == 1, -np.logaddexp(0, -logits), -np.logaddexp(0, logits)).sum(axis=-1)
    density = np.exp(log_likelihood - z**2 / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    evidence = np.log(density.sum(axis=1)).mean()
    shared = {"batch_size": 11, "seed": 0}
    few, many = (
        evaluate_importance(scaled, scaled_params, binary_split, samples=samples, **shared).mean()
        for samples in (8, 4096)
    )
    assert evaluate_elbo(scaled, scaled_params, binary_split, **shared)["elbo_nats"] < few < many
    # Weights vary by about their own size here: a relative error of 1/sqrt(4096) an image, less for their mean.
    np.testing.assert_allclose(many, evidence, atol=4.5 / np.sqrt(4096))


@pytest.mark.parametrize("samples", [0, -1])
def test_fewer_than_one_sample_is_refused(numbered, numbered_split, samples):
    with pytest.raises(ValueError, match=rf"^samples is {samples}; allowed: 1 or more$"):
        evaluate_importance(numbered, jnp.float32(1.0), numbered_split, samples=samples, batch_size=4, seed=0)


@pytest.mark.parametrize("batch_size", [0, -5])
def test_an_empty_batch_is_refused(numbered, numbered_split, batch_size):
    shared = {"batch_size": batch_size, "seed": 0}
    for run in (evaluate_elbo, lambda *args, **kwargs: evaluate_importance(*args, samples=2, **kwargs)):
        with pytest.raises(ValueError, match=rf"^batch_size is {batch_size}; allowed: 1 or more$"):
            run(numbered, jnp.float32(1.0), numbered_split, **shared)
