"""All layers of masks over units: their places, their deterministic limits, and sums over the masks of one place."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax

from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.layers import LocalWinnerTakeAll, StochasticMaxPool, StochasticReLU, Units, Unmasked
from tests.layers.conftest import assert_close_to_mean, with_gradient

KEY, DRAWS = jax.random.key(0), 2**14
SHAPE = (4, 6, 4)
MAP = jax.random.normal(jax.random.key(1), (2, *SHAPE))
# Few distinct numbers: most windows and blocks have ties, at 0 too, and no reward is flat.
TIED = jax.random.randint(jax.random.key(2), (2, *SHAPE), -1, 3).astype(jnp.float32)
LAYERS = {
    "unmasked": Unmasked(),
    "relu": StochasticReLU(),
    "pool": StochasticMaxPool(),
    "pool_2x3": StochasticMaxPool((2, 3)),
    "pool_off": StochasticMaxPool(off=True),
    "lwta": LocalWinnerTakeAll(2),
}
MASKED = [name for name in LAYERS if name != "unmasked"]


def tied(units, beta):
    """Deterministic units whose mask logits are beta times themselves."""
    return Units(beta * units, units, None)


def hard(units):
    """The limit as beta goes to infinity."""
    return Units(units, units, None, hard=True)


def gaussian(seed=0):
    """Units with free logits, locations and scales."""
    logits, loc, scale = (jax.random.normal(key, (2, *SHAPE)) for key in jax.random.split(jax.random.key(seed), 3))
    return Units(logits, loc, jnp.exp(scale))


def feature_map(layer, units):
    """Of a draw, on the feature map of the units."""
    return layer.feature_map(layer.distribution(units).sample(KEY), units.loc.shape[1:])


def passed_on(layer, units):
    """Of a draw, what goes up."""
    return layer.passed_on(layer.distribution(units).sample(KEY), units.loc.shape[1:])


def max_pool(features, window=(2, 2)):
    return nn.max_pool(features, window, strides=window)


def winners(features, block):
    """The first largest unit of each block, by a loop."""
    features, out = np.asarray(features), np.zeros(features.shape)
    for index in np.ndindex(*features.shape[:-1]):
        for start in range(0, features.shape[-1], block):
            winner = start + int(np.argmax(features[index][start : start + block]))
            out[(*index, winner)] = features[(*index, winner)]
    return out


@pytest.mark.parametrize("name", LAYERS)
def test_a_feature_map_has_each_unit_where_its_parameters_were(name):
    """Of locations, which are told apart by their place; and masks are as many and as many-sided as a site says."""
    layer, of = LAYERS[name], LAYERS[name].distribution(gaussian())
    np.testing.assert_array_equal(layer.feature_map(Masked(of.values.loc), SHAPE), gaussian().loc)
    np.testing.assert_array_equal(layer.restore(layer.arrange(MAP), SHAPE), MAP)
    assert of.kind is layer.kind
    assert (of.values.loc if of.logits is None else of.logits).shape[1:] == layer.mask_shape(SHAPE)
    assert np.prod(layer.grid(SHAPE)) == layer.mask_shape(SHAPE)[0]


@pytest.mark.parametrize("name", ["pool", "pool_2x3", "lwta"])
def test_masks_lie_on_their_grid_rows_first_and_choose_among_units_beside_one_another(name):
    """A unit that is far larger than all others is in the mask of its place on the grid."""
    layer, grid = LAYERS[name], LAYERS[name].grid(SHAPE)
    step = [size // count for size, count in zip(SHAPE, grid, strict=True)]
    for place in [(0, 0, 0), (3, 5, 3), (2, 3, 1)]:
        arranged = np.asarray(layer.arrange(jnp.zeros((1, *SHAPE)).at[(0, *place)].set(1.0)))[0]
        (mask,) = np.flatnonzero(arranged.any(-1))
        assert np.unravel_index(mask, grid) == tuple(at // size for at, size in zip(place, step, strict=True))


@pytest.mark.parametrize("features", [MAP, TIED], ids=["distinct", "tied"])
@pytest.mark.parametrize("window", [(2, 2), (2, 3), (4, 1)])
def test_the_limit_of_pooling_is_max_pooling_in_value_and_gradient_and_unpooling_its_transpose(window, features):
    layer = StochasticMaxPool(window)
    cotangent = jax.random.normal(KEY, (2, 4 // window[0], 6 // window[1], 4))
    ours, theirs = (
        with_gradient(of, cotangent, features)
        for of in (lambda x: passed_on(layer, hard(x)), lambda x: max_pool(x, window))
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    # Values put back by the masks are what the gradient of max pooling does with them.
    mask = layer.distribution(hard(features)).sample(KEY).mask
    values = jnp.broadcast_to(cotangent.reshape(2, -1, 1), mask.shape)
    np.testing.assert_array_equal(layer.feature_map(Masked(values, mask), SHAPE), theirs[1])


def test_the_limit_of_gates_is_relu_in_value_and_gradient():
    ours, theirs = (with_gradient(of, MAP, TIED) for of in (lambda x: feature_map(StochasticReLU(), hard(x)), nn.relu))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert (TIED == 0).any()


@pytest.mark.parametrize("block", [2, 4])
def test_the_limit_of_local_winner_take_all_is_the_first_largest_of_a_block_with_the_gradient_of_the_winners(block):
    value, gradient = with_gradient(lambda x: feature_map(LocalWinnerTakeAll(block), hard(x)), jnp.ones(MAP.shape), MAP)
    np.testing.assert_array_equal(value, winners(MAP, block))
    np.testing.assert_array_equal(gradient, winners(MAP, block) != 0)
    np.testing.assert_array_equal(feature_map(LocalWinnerTakeAll(block), hard(TIED)), winners(TIED, block))


def test_with_an_off_state_the_limit_is_relu_of_max_pooling():
    features = MAP - 1.0
    for units in (hard(features), tied(features, 1e6)):
        np.testing.assert_array_equal(passed_on(LAYERS["pool_off"], units), nn.relu(max_pool(features)))
    assert (nn.relu(max_pool(features)) == 0).any()


def test_a_large_beta_is_the_limit():
    np.testing.assert_array_equal(passed_on(LAYERS["pool"], tied(TIED, 1e6)), max_pool(TIED))
    np.testing.assert_array_equal(feature_map(LAYERS["relu"], tied(MAP, 1e6)), nn.relu(MAP))
    np.testing.assert_array_equal(feature_map(LAYERS["lwta"], tied(MAP, 1e6)), winners(MAP, 2))


@pytest.mark.parametrize("name", MASKED)
def test_certain_masks_cost_minus_the_log_probability_of_the_prior_and_have_no_gradient(name):
    layer = LAYERS[name]

    @jax.jit
    def cost(features):
        q = layer.distribution(hard(features))
        prior = MaskedDistribution(q.kind, jnp.zeros_like(q.logits), None)
        return q.masks.kl(prior)

    alternatives = 2 if name == "relu" else layer.mask_shape(SHAPE)[-1]
    value, gradient = jax.vjp(cost, MAP)
    np.testing.assert_allclose(value, np.log(alternatives) * np.prod(layer.grid(SHAPE)), rtol=1e-5)
    np.testing.assert_array_equal(gradient(jnp.ones(2))[0], 0.0)
    q = layer.distribution(hard(MAP))
    draw = q.sample(KEY)
    np.testing.assert_array_equal(draw.mask, layer.distribution(hard(MAP)).center.mask)
    np.testing.assert_array_equal(q.mask_log_prob(draw.mask), 0.0)


@functools.cache
def draws(name, beta=0.8):
    """Of the first window, block or gate of one image, many times: masks, and what of them is on the feature map."""
    layer = LAYERS[name]
    units = tied(MAP[:1, :2, :2, :2], beta)

    @jax.jit
    @jax.vmap
    def one(key):
        draw = layer.distribution(units).sample(key)
        return draw.mask, layer.feature_map(draw, (2, 2, 2))

    return layer.distribution(units), *map(np.float64, one(jax.random.split(KEY, DRAWS)))


@pytest.mark.parametrize("name", ["pool", "pool_off", "lwta"])
def test_a_choice_has_the_moments_of_its_enumerated_alternatives(name):
    q, masks, maps = draws(name)
    values = np.float64(LAYERS[name].arrange(MAP[:1, :2, :2, :2]))[0]
    if name == "pool_off":
        values = np.concatenate([values, np.zeros((len(values), 1))], axis=-1)
    probs = softmax(0.8 * values, axis=-1)
    np.testing.assert_array_equal(masks.sum(-1), 1.0)
    assert_close_to_mean(masks[:, 0], probs)
    on = values.shape[-1] - (name == "pool_off")
    arranged = np.asarray(jax.vmap(LAYERS[name].arrange)(maps))[:, 0]
    assert_close_to_mean(arranged, (probs * values)[:, :on])
    assert_close_to_mean(arranged**2, (probs * values**2)[:, :on])
    uniform = MaskedDistribution(q.kind, jnp.zeros_like(q.logits), None)
    np.testing.assert_allclose(
        q.masks.kl_of_each(uniform)[0], (probs * np.log(probs * probs.shape[-1])).sum(-1), rtol=1e-4
    )


def test_gates_open_by_their_tied_probability_independently_and_at_beta_one_their_mean_is_silu():
    _, masks, maps = draws("relu", 1.0)
    features = np.float64(MAP[0, :2, :2, :2])
    assert_close_to_mean(masks[:, 0], expit(features).ravel())
    assert_close_to_mean(maps[:, 0], nn.silu(features))
    correlation = np.corrcoef(masks[:, 0].T) - np.eye(8)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(DRAWS)


def test_an_off_state_alone_makes_a_window_of_one_a_choice():
    layer = StochasticMaxPool((1, 1), off=True)
    mean = layer.passed_on(layer.distribution(tied(MAP, 1.0)).center, SHAPE)
    np.testing.assert_allclose(mean, nn.silu(MAP), rtol=1e-5)


@pytest.mark.parametrize("name", ["pool", "pool_2x3", "lwta", "relu"])
def test_exchanging_places_exchanges_the_distribution(name):
    """Rolled by a window, or by a position: what masks look at does not depend on where they are."""
    layer, (rows, columns, _) = LAYERS[name], LAYERS[name].grid(SHAPE)
    units = gaussian()
    rolled = units.arranged(lambda of: jnp.roll(of, (4 // rows, 6 // columns), axis=(1, 2)))
    of, other = (layer.distribution(units) for units in (units, rolled))

    def on_grid(leaf):
        return jnp.roll(leaf.reshape(2, *layer.grid(SHAPE), -1), (1, 1), axis=(1, 2)).reshape(leaf.shape)

    jax.tree.map(lambda a, b: np.testing.assert_array_equal(on_grid(a), b), of, other)


@pytest.mark.parametrize("name", ["pool", "pool_off", "pool_2x3"])
def test_unpooling_restores_what_was_selected_and_nothing_else(name):
    layer, units = LAYERS[name], tied(MAP - 1.5, 1.0)
    draw = layer.distribution(units).sample(KEY)
    restored, pooled = (np.asarray(of(draw, SHAPE)) for of in (layer.feature_map, layer.passed_on))
    chosen = restored != 0
    np.testing.assert_array_equal(restored[chosen], np.asarray(units.loc)[chosen])
    height, width = layer.window
    windows = restored.reshape(2, 4 // height, height, 6 // width, width, 4)
    np.testing.assert_array_equal(windows.sum(axis=(2, 4)), pooled)
    on = np.asarray(draw.mask)[..., : height * width].sum(-1).reshape(pooled.shape)
    np.testing.assert_array_equal((windows != 0).sum(axis=(2, 4)), on)
    assert (on == 0).any() == layer.off
    # The gradient of what is passed on is that of the positions selected.
    _, gradient = with_gradient(lambda of: passed_on(layer, tied(of, 1.0)), jnp.ones(pooled.shape), units.loc)
    np.testing.assert_array_equal(gradient, chosen)


@pytest.mark.parametrize("name", ["unmasked", "relu", "lwta"])
def test_without_pooling_all_units_of_a_window_go_up(name):
    layer = LAYERS[name]
    draw = layer.distribution(gaussian()).sample(KEY)
    going_up, features = layer.passed_on(draw, SHAPE), np.asarray(layer.feature_map(draw, SHAPE))
    assert going_up.shape == (2, 2, 3, 16)
    windows = features.reshape(2, 2, 2, 3, 2, 4).transpose(0, 1, 3, 2, 4, 5).reshape(2, 2, 3, 16)
    np.testing.assert_array_equal(np.sort(going_up), np.sort(windows))
    if name == "lwta":
        np.testing.assert_array_equal((np.asarray(going_up) == 0).sum(-1), 8)


def test_layers_that_leave_no_choice_or_do_not_fit_are_refused():
    for window, off in [((1, 1), False), ((0, 2), False), ((0, 1), True)]:
        with pytest.raises(
            ValueError, match=r"^window . x . leaves no choice \(K = .\); allowed: 2 positions, or 1 and off$"
        ):
            StochasticMaxPool(window, off)
    with pytest.raises(ValueError, match=r"^block of K = 1 units leaves no choice; allowed: 2 or more$"):
        LocalWinnerTakeAll(1)
    with pytest.raises(ValueError, match=r"^blocks of 3 do not divide the channels, 4; allowed: "):
        LocalWinnerTakeAll(3).distribution(gaussian())
    with pytest.raises(ValueError, match=r"^window 3 x 2 does not divide the feature map, 4 x 6;"):
        StochasticMaxPool((3, 2)).distribution(gaussian())
