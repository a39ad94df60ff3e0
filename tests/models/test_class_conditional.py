import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.models import Schedule

CLASSES, COUNT = 3, 30_000


@pytest.fixture(scope="module")
def conditional(make_model, randomize):
    model = make_model("class_conditional", "ctc", classes=CLASSES)
    return model, randomize(model.init(jax.random.key(0)))


@pytest.fixture(scope="module")
def log_probability(conditional, binary_images):
    """log p(x | class), [classes, images]."""
    model, params = conditional

    @jax.jit
    @jax.vmap
    def of_label(label):
        batch = binary_images._replace(label=jnp.full(16, label, jnp.int32))
        return model.infer(params, jax.random.key(0), batch).log_weight

    return np.asarray(of_label(jnp.arange(CLASSES)), np.float64)


@pytest.fixture(scope="module")
def generated(conditional):
    """Labels, images and their log joint probabilities."""
    model, params = conditional

    @jax.jit
    def generate(key):
        latents, pixels = model.generate(params, key, COUNT)
        images, labels = pixels.sample(jax.random.fold_in(key, 1)), latents["label"].value
        return labels, images, model.joint(params, Batch(images, labels), latents).total

    return jax.device_get(generate(jax.random.key(1)))


def test_probabilities_of_all_images_sum_to_one_for_each_class(log_probability):
    np.testing.assert_allclose(np.exp(log_probability).sum(axis=1), 1.0, rtol=1e-5)
    assert np.ptp(log_probability, axis=0).max() > 0.1  # the classes do differ


def test_log_joint_is_that_of_the_given_label_and_no_other(conditional, binary_images, log_probability):
    model, params = conditional
    labels = jnp.arange(16, dtype=jnp.int32) % CLASSES
    mixed = jax.jit(model.joint)(params, binary_images, {"label": Masked(labels)})
    assert mixed.log_prior == {}
    np.testing.assert_allclose(mixed.total, log_probability[labels, np.arange(16)], rtol=1e-5)


def test_generated_labels_are_uniform_and_images_have_their_class_frequencies(generated, log_probability):
    labels, images, _ = generated
    numbers = images.reshape(COUNT, 4) @ [8, 4, 2, 1]
    joint = np.histogram2d(labels, numbers, bins=[np.arange(CLASSES + 1), np.arange(17)])[0]
    expected = COUNT * np.exp(log_probability) / CLASSES
    assert stats.chisquare(joint.sum(axis=1)).pvalue > 1e-3
    assert stats.chisquare(joint.ravel(), expected.ravel() * COUNT / expected.sum()).pvalue > 1e-3


def test_average_log_joint_of_generated_images_is_minus_the_exact_entropy(generated, log_probability):
    values = generated[2].astype(np.float64)
    entropy = -np.sum(np.exp(log_probability) * log_probability, axis=1).mean()
    assert abs(values.mean() + entropy) < 4.5 * values.std() / np.sqrt(len(values))


def test_the_bound_is_the_log_likelihood_and_a_lower_one_where_it_is_annealed(
    conditional, binary_images, log_probability
):
    model, params = conditional
    batch = binary_images._replace(label=jnp.full(16, 2, jnp.int32))

    @jax.jit
    def bound(inverse):
        return model.bound(params, jax.random.key(0), batch, schedule=Schedule(likelihood=inverse))

    low, high, exact = (bound(jnp.float32(inverse)) for inverse in (0.1, 0.6, 1.0))
    assert exact.kl == {}
    low, high, exact = (np.asarray(of.log_likelihood) for of in (low, high, exact))
    np.testing.assert_allclose(exact, log_probability[2], rtol=1e-5)
    assert (low < high + 1e-6).all()
    assert (high < exact + 1e-6).all()
    assert (exact - low).max() > 0.01


def test_a_label_is_observed_and_so_is_no_site(conditional, binary_images):
    model, params = conditional
    for key in (None, jax.random.key(3)):
        trace = jax.jit(model.infer)(params, key, binary_images._replace(label=jnp.full(16, 1, jnp.int32)))
        assert trace.sites == {}
        np.testing.assert_array_equal(trace.latents["label"].value, 1)
    given = {"label": Masked(jnp.asarray([2, 2, 0], jnp.int32))}
    latents, pixels = model.generate(params, jax.random.key(0), 3, given=given)
    np.testing.assert_array_equal(latents["label"].value, [2, 2, 0])
    np.testing.assert_allclose(pixels.mean, model.decode(params, given).mean, rtol=1e-6)
    assert np.abs(pixels.mean[0] - pixels.mean[2]).max() > 0.01
