import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ctc_jax.data import Batch

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
        latents, _ = model.recognize(params, jax.random.key(0), batch)
        return model.log_joint(params, batch, latents)

    return np.asarray(of_label(jnp.arange(CLASSES)), np.float64)


@pytest.fixture(scope="module")
def generated(conditional):
    """Labels, images and their log joint probabilities."""
    model, params = conditional

    @jax.jit
    def generate(key):
        latents, pixels = model.generate(params, key, COUNT)
        images = pixels.sample(jax.random.fold_in(key, 1))
        return latents["label"], images, model.log_joint(params, Batch(images, latents["label"]), latents)

    return jax.device_get(generate(jax.random.key(1)))


def test_probabilities_of_all_images_sum_to_one_for_each_class(log_probability):
    np.testing.assert_allclose(np.exp(log_probability).sum(axis=1), 1.0, rtol=1e-5)
    assert np.ptp(log_probability, axis=0).max() > 0.1  # the classes do differ


def test_log_joint_is_that_of_the_given_label_and_no_other(conditional, binary_images, log_probability):
    model, params = conditional
    labels = jnp.arange(16, dtype=jnp.int32) % CLASSES
    mixed = jax.jit(model.log_joint)(params, binary_images, {"label": labels})
    np.testing.assert_allclose(mixed, log_probability[labels, np.arange(16)], rtol=1e-5)


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


def test_the_bound_is_the_log_likelihood(conditional, binary_images, log_probability):
    model, params = conditional
    batch = binary_images._replace(label=jnp.full(16, 2, jnp.int32))
    terms = jax.jit(model.elbo_terms)(params, jax.random.key(0), batch)
    _, log_q = model.recognize(params, jax.random.key(0), batch)
    np.testing.assert_allclose(terms.log_likelihood, log_probability[2], rtol=1e-5)
    assert terms.kl == {}
    assert not log_q.any()


def test_annealing_gives_a_lower_bound_that_rises_to_the_log_likelihood(conditional, binary_images, log_probability):
    model, params = conditional
    batch = binary_images._replace(label=jnp.full(16, 2, jnp.int32))
    annealed = jax.jit(lambda inverse: model.elbo_terms(params, jax.random.key(0), batch, inverse).log_likelihood)
    low, high, exact = (np.asarray(annealed(jnp.float32(inverse))) for inverse in (0.1, 0.6, 1.0))
    assert (low < high + 1e-6).all()
    assert (high < exact + 1e-6).all()
    assert (exact - low).max() > 0.01
    np.testing.assert_allclose(exact, log_probability[2], rtol=1e-5)


def test_there_is_no_learned_latent(conditional, binary_images):
    model, params = conditional
    assert model.posterior_means(params, binary_images) == {}
