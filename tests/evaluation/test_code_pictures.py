import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import base
from ctc_jax import training
from ctc_jax.data import Split
from ctc_jax.distributions import BERNOULLI, CATEGORICAL
from ctc_jax.evaluation import draw_code_pictures
from ctc_jax.evaluation.code_pictures import (
    CAPTIONS,
    _activity,
    _between,
    _read,
    _traversed,
    _turns,
    gaussian_kl,
    unit_costs,
)
from ctc_jax.evaluation.even_rows import even_batch
from ctc_jax.models import ImageSpace, Masked
from ctc_jax.reporting import labeled_rows

TINY = {"model.width": 3, "model.blocks": 0, "model.features": 2, "model.latents": 3, "likelihood.name": "bernoulli"}
IMAGES = np.random.default_rng(0).integers(0, 2, (10, 8, 8, 1)).astype(np.uint8)
SPLIT = Split(IMAGES, np.zeros(10, np.int32))


def build(changes):
    """A tiny model, and parameters with which images differ."""
    model = training.build_model(base.experiment({**TINY, **changes}), ImageSpace((8, 8, 1), 1, 1))
    random = np.random.default_rng(1)
    params = jax.jit(model.init)(jax.random.key(0))
    return model, jax.tree.map(lambda leaf: leaf + 0.5 * random.standard_normal(leaf.shape, np.float32), params)


@pytest.fixture(scope="module")
def drawn(scaled, scaled_params, binary_split, tmp_path_factory):
    """Pictures of a model with one code z, whose pixels have logits `params` z."""
    folder = tmp_path_factory.mktemp("run")
    pictures = draw_code_pictures(scaled, scaled_params, binary_split, folder, levels=1, seed=3)
    assert [picture.caption for picture in pictures] == [*CAPTIONS.values()]
    codes = _read(scaled, scaled_params, jax.random.key(3), even_batch(binary_split, 32))
    return folder, jax.device_get(codes)


def picture(path):
    return np.asarray(Image.open(path)).astype(int)


def mean_of(params, z):
    return 1 / (1 + np.exp(-np.asarray(params)[None] * np.reshape(z, (-1, 1, 1, 1))))


def test_a_unit_goes_from_minus_to_plus_three_deviations_of_the_prior(drawn, scaled_params, binary_split):
    row = np.concatenate([binary_split.images[:1], mean_of(scaled_params, np.linspace(-3, 3, 7))])
    expected = labeled_rows(row[None], ["input", "-3", "-2", "-1", "0", "1", "2", "3"], levels=1)
    assert np.abs(picture(drawn[0] / "traversal.png") - expected).max() <= 1


def test_codes_move_in_a_straight_line_between_those_of_two_images(drawn, scaled_params, binary_split):
    z = drawn[1].drawn["z"].value[:, 0]
    shares = np.linspace(0, 1, 7)
    between = [mean_of(scaled_params, (1 - shares) * z[row] + shares * z[row + 5]) for row in range(5)]
    rows = [
        [binary_split.images[one], *between[one], binary_split.images[other]]
        for one, other in zip(range(5), range(5, 10), strict=True)  # all of eleven but the last
    ]
    labels = ["input", "0", "0.17", "0.33", "0.5", "0.67", "0.83", "1", "input"]
    assert np.abs(picture(drawn[0] / "interpolation.png") - labeled_rows(np.array(rows), labels, levels=1)).max() <= 1


def test_the_cost_of_a_unit_is_its_closed_form_where_there_is_one(drawn, binary_split):
    """KL(N(x's mean - 1/2, 1) || N(0, 1)), averaged over the images."""
    expected = np.mean((binary_split.images.mean(axis=(1, 2, 3)) - 0.5) ** 2) / 2
    np.testing.assert_allclose(drawn[1].kl["z"], [expected], rtol=1e-5)


def test_kl_by_draws_has_no_bias_for_a_gaussian():
    mean, scale = np.array([0.0, 2.0, -0.5]), np.array([1.0, 0.3, 2.0])
    draws = mean + scale * np.random.default_rng(0).standard_normal((8, 20_000, 3))
    found = np.asarray(gaussian_kl(jnp.asarray(draws)))
    exact = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale))
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - exact) < 4 * error).all()
    assert error.max() < 0.02  # a bias of log v, 0.15 nats here, would be seen


def test_units_are_judged_by_how_their_means_vary_over_images():
    """Of images whose means have variances 4, 1/4 and 0, and one-hot masks that are certain, and alike for all."""
    random = np.random.default_rng(0)
    means = random.standard_normal((2_000, 3)) * [2.0, 0.5, 0.0]
    found = _activity(jnp.asarray(means + random.standard_normal((16, 2_000, 3))), None)
    np.testing.assert_allclose(found, [4.0, 0.25, 0.0], rtol=0.1, atol=0.01)
    masks = np.zeros((16, 2_000, 2, 2))
    masks[..., 0, :] = np.eye(2)[np.arange(2_000) % 2]
    masks[..., 1, 0] = 1.0
    np.testing.assert_allclose(_activity(jnp.asarray(masks), CATEGORICAL), [0.5, 0.0], atol=1e-6)


def test_costs_by_draws_sum_to_the_kl_of_the_bound():
    """A recognition family states no law of a unit, but here the KL of the whole code, the sum of its units'."""
    model, params = build({"model.name": "mlp_vae"})
    batch = even_batch(SPLIT, 10)
    codes = _read(model, params, jax.random.key(0), batch)
    whole = float(np.mean(jax.jit(model.infer)(params, jax.random.key(0), batch).sites["z"].kl))
    assert codes.kl["z"].shape == (3,)
    np.testing.assert_allclose(np.sum(codes.kl["z"]), whole, rtol=0.15)


def test_a_mask_changes_over_once_and_at_once_in_all_its_alternatives():
    """Values follow: of the image that the mask is of, or on the way where both images have the same mask."""
    random = np.random.default_rng(0)
    masks = np.eye(3)[random.integers(0, 3, (2, 4, 50))]
    start, end = (Masked(random.standard_normal((4, 50, 3)), mask) for mask in masks)
    turns = _turns(start, CATEGORICAL, random)
    shares = np.linspace(0, 1, 11)
    seen = [_between(start, end, turns, float(share)) for share in shares]
    for latent, of in ((start, seen[0]), (end, seen[-1])):
        np.testing.assert_array_equal(of.mask, latent.mask)
        np.testing.assert_allclose(of.value, latent.value)
    over = np.array([(of.mask == end.mask).all(axis=-1) for of in seen])
    assert (np.diff(over.astype(int), axis=0) >= 0).all()
    assert 0.3 < over[5][(start.mask != end.mask).any(axis=-1)].mean() < 0.7
    same = (start.mask == end.mask).all(axis=-1)
    np.testing.assert_allclose(seen[5].value[same], (0.5 * (start.value + end.value))[same])
    still = ~over[5]
    np.testing.assert_array_equal(seen[5].value[still], start.value[still])


def test_gates_change_over_one_by_one():
    start, end = (Masked(np.ones((4, 50)), np.full((4, 50), of)) for of in (0.0, 1.0))
    turns = _turns(start, BERNOULLI, np.random.default_rng(0))
    assert 0.3 < _between(start, end, turns, 0.5).mask.mean() < 0.7


def test_a_traversal_changes_one_unit_alone():
    latent = Masked(np.zeros((1, 2, 3), np.float32))
    code, labels = _traversed(latent, 4, None, (np.arange(6.0), np.full(6, 2.0)))
    assert code.value.shape == (7, 2, 3)
    np.testing.assert_allclose(code.value[:, 1, 1], 4 + 2 * np.linspace(-3, 3, 7))
    assert np.count_nonzero(code.value) == np.count_nonzero(code.value[:, 1, 1])
    assert (labels[0], labels[-1]) == ("-3", "3")


def test_a_traversal_of_a_mask_goes_through_its_alternatives():
    values = np.ones((1, 2, 3), np.float32)
    code, labels = _traversed(Masked(values, np.eye(3, dtype=np.float32)[None, [0, 0]]), 1, CATEGORICAL, None)
    np.testing.assert_array_equal(code.mask[:, 1], np.eye(3))
    np.testing.assert_array_equal(code.mask[:, 0], np.eye(3)[[0, 0, 0]])
    assert labels == ["1", "2", "3"]
    gates, labels = _traversed(Masked(values[0], np.zeros((1, 3), np.float32)), 2, BERNOULLI, None)
    assert (gates.mask.tolist(), labels) == ([[0, 0, 0], [0, 0, 1]], ["closed", "open"])


def test_many_latents_are_told_together_with_all_their_units():
    svg = unit_costs({f"{place}x{place}.{number}": np.ones(4) for place in (4, 16) for number in range(8)})
    assert "4x4, 8 latents (32)" in svg
    assert "KL per unit of z (2)" in unit_costs({"z": np.array([0.0, 1.0])})


@pytest.mark.parametrize("cost", [-0.02, 0.0])
def test_costs_that_draws_put_at_or_below_0_are_drawn(cost):
    """One unit, or several alike: the panel has a height all the same, and all points on it."""
    picture = unit_costs({"z": np.full(3, cost)})
    assert "polyline" in picture
    assert 'class="off"' not in picture


def test_costs_that_are_not_finite_are_marked():
    assert unit_costs({"z": np.array([np.inf, 1.0, 0.5])}).count('class="off"') == 1
    assert "no points yet" in unit_costs({"z": np.array([np.nan, np.nan])})


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {
            "model.name": "ctc_hierarchy",
            "model.ctc_hierarchy.levels": 2,
            "model.ctc_hierarchy.channels": 4,
            "model.ctc_hierarchy.families": "ctc_pool,ctc_relu",
            "estimator.name": "straight_through",
        },
        {"model.name": "draw", "model.draw.glimpses": 3, "model.draw.write_size": 2},
        {"model.name": "mask_vae", "estimator.name": "rloo"},
        {"model.name": "mlp_vae", "posterior.name": "iaf"},
    ],
)
def test_every_model_has_them(changes, tmp_path):
    model, params = build(changes)
    found = draw_code_pictures(model, params, SPLIT, tmp_path, levels=1, seed=0)
    assert [of.path.name for of in found] == ["interpolation.png", "traversal.png", "unit_kl.svg"]
    assert all(of.path.is_file() for of in found)


@pytest.mark.slow
def test_a_model_without_latents_of_its_own_has_none(tmp_path):
    model, params = build({"model.name": "class_conditional"})
    assert draw_code_pictures(model, params, SPLIT, tmp_path, levels=1, seed=0) == []
