import jax
import jax.numpy as jnp
import numpy as np
import optax

from ctc_jax.training.skipping import FIRST, MOST_IN_A_ROW, Skipping
from tests.training.test_step import run

FACTOR = 8.0


def skips(norms, factor=FACTOR):
    """Which of the steps with these norms are skipped, and the level at the end."""
    skipping = Skipping(factor)

    def one(level, norm):
        skip, level = skipping(level, norm)
        return level, skip

    level, found = jax.jit(lambda norms: jax.lax.scan(one, skipping.init(), norms))(jnp.asarray(norms, jnp.float32))
    return np.flatnonzero(found), level


def test_a_spike_is_skipped_and_counted_and_what_is_usual_is_not():
    usual = np.exp(np.random.default_rng(0).normal(3.0, 0.5, 200))
    assert len(skips(usual)[0]) == 0
    spiked = usual.copy()
    spiked[[60, 61, 150]] *= 1e4
    found, level = skips(spiked)
    np.testing.assert_array_equal(found, [60, 61, 150])
    assert level.skipped == 3
    # A spike as large as can be moves the mean no more than one at the threshold.
    spiked[150] = np.finfo(np.float32).max
    assert abs(skips(spiked)[1].log_norm - level.log_norm) < 1e-6


def test_a_shift_that_lasts_is_taken_for_how_things_are():
    """However large, and again when it goes on shifting."""
    found, level = skips([1.0] * 100 + [1e20] * 100)
    np.testing.assert_array_equal(found, np.arange(100, 100 + MOST_IN_A_ROW))
    assert level.in_a_row == 0
    growing = np.concatenate([np.ones(FIRST), 10.0 ** np.arange(38).repeat(MOST_IN_A_ROW + 1)])
    taken = np.setdiff1d(np.arange(len(growing)), skips(growing)[0])
    assert np.diff(taken).max() == MOST_IN_A_ROW + 1
    # A shift within the factor is never skipped.
    assert len(skips([1.0] * 50 + [7.0] * 50)[0]) == 0


def test_the_first_steps_and_a_gradient_of_nothing_are_taken():
    assert len(skips([1e6, 1.0, 1e6, 0.0] * (FIRST // 4))[0]) == 0
    assert np.isfinite(skips([0.0] * 50)[1].log_norm)


def test_a_skipped_step_changes_neither_parameters_nor_average_nor_optimizer():
    usual = [4] * (FIRST + 2)
    options = {"optimizer": optax.adam(1e-3), "ema_decay": 0.9}
    state, metrics = run([*usual, 10_000, 4], skipping=Skipping(FACTOR), **options)
    clean, _ = run([*usual, 4], **options)
    for part in ("params", "average", "optimizer"):
        jax.tree.map(np.testing.assert_array_equal, getattr(state, part), getattr(clean, part))
    assert (state.step, state.bad_steps, state.level.skipped) == (len(usual) + 2, 0, 1)
    np.testing.assert_array_equal(np.flatnonzero(metrics["skipped_share"]), [len(usual)])


def test_a_step_that_is_not_finite_leaves_the_level_as_it_was_and_is_no_skipped_one():
    usual = [4] * (FIRST + 2)
    state, metrics = run([*usual, -1], skipping=Skipping(FACTOR))
    before, _ = run(usual, skipping=Skipping(FACTOR))
    jax.tree.map(np.testing.assert_array_equal, state.level, before.level)
    assert state.bad_steps == 1
    assert not metrics["skipped_share"].any()
