import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions.mask_group import MaskGroup


@pytest.mark.parametrize(
    ("text", "grid"), [("pixel", (4, 6)), ("patch:2", (2, 3)), ("patch:1", (4, 6)), ("image", (1, 1))]
)
def test_totals_over_groups_match_loops(text, grid):
    array = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    group = MaskGroup.parse(text)
    rows, columns = group.grid(4, 6)
    assert (rows, columns) == grid
    high, wide = 4 // rows, 6 // columns
    expected = [
        [array[:, i * high : (i + 1) * high, j * wide : (j + 1) * wide].sum((1, 2)) for j in range(columns)]
        for i in range(rows)
    ]
    np.testing.assert_allclose(group.total(jnp.asarray(array)), np.moveaxis(expected, -1, 0), rtol=1e-5, atol=1e-6)


def test_upsampling_gives_each_position_its_groups_entry():
    entries = jnp.arange(6).reshape(1, 2, 3)
    upsampled = MaskGroup.parse("patch:2").upsample(entries, 4, 6)
    expected = [[[i // 2 * 3 + j // 2 for j in range(6)] for i in range(4)]]
    np.testing.assert_array_equal(upsampled, expected)


def test_every_holds_only_where_all_positions_hold():
    array = jnp.ones((4, 4), bool).at[3, 3].set(False)
    np.testing.assert_array_equal(MaskGroup.parse("patch:2").every(array), [[True, True], [True, False]])


@pytest.mark.parametrize("text", ["patch", "patch:0", "patch:-2", "patch:x", "pixels", ""])
def test_a_malformed_group_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match=r"^mask_group is .*patch:P"):
        MaskGroup.parse(text)


def test_patches_that_do_not_tile_the_image_are_refused():
    with pytest.raises(ValueError, match="images are 28x28"):
        MaskGroup.parse("patch:3").grid(28, 28)
