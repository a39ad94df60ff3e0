import jax
import numpy as np
import pytest

from configs import base
from ctc_jax import training
from ctc_jax.evaluation.code_draws import CODES_PER_CALL, draw_codes
from ctc_jax.evaluation.diversity import diversity_within_code
from ctc_jax.models import ImageSpace

TINY = {
    "model.name": "ctc_hierarchy",
    "model.ctc_hierarchy.levels": 1,
    "model.width": 3,
    "model.blocks": 0,
    "model.features": 2,
    "model.latents": 2,
    "model.ctc_hierarchy.channels": 4,
    "likelihood.name": "bernoulli",
}


def hierarchy(families):
    estimator = "straight_through" if families == "ctc_pool" else "pathwise"
    config = base.experiment({**TINY, "model.ctc_hierarchy.families": families, "estimator.name": estimator})
    model = training.build_model(config, ImageSpace((4, 4, 1), 1, 1))
    random = np.random.default_rng(1)
    params = jax.jit(model.init)(jax.random.key(0))
    return model, jax.tree.map(lambda leaf: leaf + 0.7 * random.standard_normal(leaf.shape, np.float32), params)


def test_both_samples_are_of_their_codes_mean_and_independent_given_it(scaled, scaled_params):
    drawn = draw_codes(scaled, 4 * scaled_params, codes=4000, seed=0)
    (p,) = drawn.means
    first, second = drawn.samples
    assert set(np.unique(drawn.samples)) == {0, 1}
    assert 0.02 < np.mean(p * (1 - p)) < 0.2
    variance = p * (1 - p)
    for sample in (first, second):
        error = np.sqrt(np.sum(variance, axis=0)) / 4000
        np.testing.assert_array_less(np.abs(np.mean(sample - p, axis=0)), 4.5 * error)
    error = np.sqrt(np.sum(variance**2, axis=0)) / 4000
    np.testing.assert_array_less(np.abs(np.mean((first - p) * (second - p), axis=0)), 4.5 * error)


def test_asking_for_more_codes_keeps_the_first_and_no_two_calls_draw_the_same(scaled, scaled_params):
    few, many = (draw_codes(scaled, scaled_params, codes=count, seed=1) for count in (5, 2 * CODES_PER_CALL + 3))
    for some, more in zip(few, many, strict=True):
        assert (some.shape[1], more.shape[1]) == (5, 2 * CODES_PER_CALL + 3)
        np.testing.assert_array_equal(some, more[:, :5])
    assert len(np.unique(many.means[0, :, 0, 0, 0])) == 2 * CODES_PER_CALL + 3


@pytest.mark.parametrize("families", [pytest.param("ctc_pool", marks=pytest.mark.slow), "gaussian"])
def test_means_of_one_top_code_differ_as_far_as_the_levels_below_move_them(families):
    model, params = hierarchy(families)
    drawn = draw_codes(model, params, codes=2000, seed=0)
    assert len(drawn.means) == 2
    found = diversity_within_code(*drawn.means.reshape(2, 2000, -1))
    # The same share from many draws below few codes, by the law of total variance.
    latents, _ = jax.jit(lambda key: model.generate(params, key, 400))(jax.random.key(5))
    below = jax.jit(lambda key: model.generate(params, key, 400, given={"top": latents["top"]})[1].mean)
    means = np.stack([below(key) for key in jax.random.split(jax.random.key(6), 20)]).reshape(20, 400, -1)
    within = means.var(axis=0, ddof=1).sum(axis=1)
    total = np.sum((means[0] - means[0].mean(axis=0)) ** 2, axis=1) * 400 / 399
    expected = within.mean() / total.mean()
    # Both shares are ratios of means over codes: the delta method, for the one with fewer of them.
    error = np.std(within - expected * total) / total.mean() / np.sqrt(400)
    assert 0.02 < expected < 0.98
    assert abs(found - expected) < 4.5 * error * np.sqrt(1 + 400 / 2000 * 2)


def test_a_hierarchy_without_latents_below_the_top_has_one_mean():
    model, params = hierarchy("none")
    assert draw_codes(model, params, codes=3, seed=0).means.shape == (1, 3, 4, 4, 1)
