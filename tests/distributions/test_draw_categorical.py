import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions.draw_categorical import draw_categorical


@pytest.mark.parametrize("entries", [2, 7, 24])
def test_is_the_inverse_of_the_distribution_function(entries):
    logits = 3 * jax.random.normal(jax.random.key(0), (entries, 50))
    uniform = jax.random.uniform(jax.random.key(1), (4, 50))
    mass = np.exp(np.float64(logits))
    cumulated = np.cumsum(mass / mass.sum(0), axis=0)
    drawn = np.asarray(draw_categorical(logits, uniform))
    below = np.where(drawn > 0, np.take_along_axis(cumulated, np.maximum(drawn - 1, 0), 0), 0.0)
    above = np.take_along_axis(cumulated, drawn, 0)
    assert drawn.dtype == np.int32
    assert np.all(below - 1e-6 <= np.asarray(uniform))
    assert np.all(np.asarray(uniform) < above + 1e-6)
    assert len(np.unique(drawn)) > 1


def test_frequencies_are_the_softmax():
    logits = jnp.array([0.0, 2.0, -1.0, 1.0, -3.0])
    draws = 40_000
    found = np.bincount(draw_categorical(logits, jax.random.uniform(jax.random.key(0), (draws,))), minlength=5) / draws
    probs = np.exp(logits) / np.exp(logits).sum()
    assert np.all(np.abs(found - probs) < 4 * np.sqrt(probs * (1 - probs) / draws))


def test_an_entry_without_probability_is_never_drawn():
    """Not at either end, nor where a number next to 1 times the total rounds to the total."""
    logits = jnp.array([-200.0, 0.0, -200.0, 0.7, 0.1, -200.0, -200.0])
    uniform = jnp.concatenate([jnp.linspace(0, 1, 1001)[:-1], jnp.float32([1 - 2**-24, 1 - 2**-23])])
    assert set(np.asarray(draw_categorical(logits, uniform)).tolist()) == {1, 3, 4}
    shifted = jax.jit(jax.vmap(lambda shift: draw_categorical(logits.at[4].add(shift), jnp.float32([1 - 2**-24]))))
    np.testing.assert_array_equal(shifted(jnp.linspace(0, 1, 50)), 4)


def test_large_logits_do_not_overflow():
    logits = jnp.array([[1e4, -1e4], [1e4, 1e4], [0.0, 1e4]])
    drawn = draw_categorical(logits, jnp.float32([[0.2, 0.2], [0.7, 0.7]]))
    np.testing.assert_array_equal(drawn, [[0, 1], [1, 2]])
