import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.gradients import tiny
from benchmarks.gradients.hierarchy_candidates import CHOSEN, SETTINGS, draw
from configs import mnist_hierarchy
from ctc_jax import training
from ctc_jax.data import Batch
from ctc_jax.gradients import CATEGORICAL, Enumerate, ReinMax, SingleFlips
from ctc_jax.models import ImageSpace
from tests.gradients.conftest import build, gradients, z_scores

KEYS = 2**10


@pytest.fixture(scope="module")
def frozen():
    """A hierarchy of two levels of a mask each, its parameters, and two images."""
    config = mnist_hierarchy.get_config()
    config.model.update({"width": 3, "latents": 2, "features": 2, "blocks": 0})
    config.model.ctc_hierarchy.update({"channels": 1, "levels": 2})
    model = training.build_model(config, ImageSpace((4, 4, 1), 1, 1))
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    params = jax.tree.map(lambda of: jnp.asarray(0.6 * random.standard_normal(of.shape, np.float32)), shapes)
    images = jnp.asarray(random.integers(0, 2, (2, 4, 4, 1)), jnp.uint8)
    return model, params, Batch(images, jnp.zeros(2, jnp.int32))


@pytest.mark.slow
def test_flips_through_two_levels_have_the_mean_by_enumeration_and_masks_alone_are_drawn(frozen):
    model, params, batch = frozen

    def drawn(estimator):
        return jax.jit(lambda key: draw(model, (estimator,), {**params, CHOSEN: 0}, key, batch, held=True))

    exact = drawn(Enumerate())
    first, second = (exact(jax.random.key(seed)) for seed in (1, 2))
    for level in ("level 1", "level 2"):
        np.testing.assert_allclose(first[level], second[level], rtol=1e-4, atol=1e-5 * np.abs(first[level]).max())
    flips = jax.vmap(drawn(SingleFlips(samples=1, flips=2)))(jax.random.split(jax.random.key(3), KEYS))
    for level in ("level 1", "level 2"):
        assert np.asarray(flips[level]).std(axis=0).max() > 0
        assert np.abs(z_scores(flips[level], first[level])).max() < 4.5


def test_a_reward_without_a_linear_layer_is_shown_with_the_identity():
    problem = build("categorical", (2, 2, 3), "values")
    found, _ = gradients(problem, lambda key, *of, **given: tiny.held(SingleFlips(), key)(key, *of, **given))
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5


def test_draws_of_a_held_mask_are_of_its_own_key_and_of_the_place_where_it_is_drawn():
    logits = jnp.zeros((1, 8, 4))
    one, same, other = (tiny.held(ReinMax(), jax.random.key(seed)) for seed in (0, 0, 1))

    def mask(estimator, place):
        return np.asarray(estimator.mask(jax.random.key(place), logits, kind=CATEGORICAL))

    np.testing.assert_array_equal(mask(one, 0), mask(same, 0))
    assert (mask(one, 0) != mask(other, 0)).any()
    assert (mask(one, 0) != mask(one, 1)).any()


def test_settings_are_told_apart_by_their_names():
    assert len({str(dataclasses.astuple(one)) + type(one).__name__ for one in SETTINGS.values()}) == len(SETTINGS)
