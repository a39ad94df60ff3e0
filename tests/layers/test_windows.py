import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.layers import check_window
from ctc_jax.layers.windows import join_windows, split_windows

FEATURES = jnp.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)


@pytest.mark.parametrize("window", [(2, 3), (1, 2), (4, 1), (4, 6)])
def test_windows_are_patches_row_by_row_and_join_undoes_split(window):
    tiles, features = split_windows(FEATURES, window), np.asarray(FEATURES)
    height, width = window
    assert tiles.shape == (2, 4 // height, 6 // width, 3, height * width)
    for row, column in np.ndindex(*tiles.shape[1:3]):
        patch = features[:, row * height : (row + 1) * height, column * width : (column + 1) * width]
        np.testing.assert_array_equal(tiles[:, row, column], patch.transpose(0, 3, 1, 2).reshape(2, 3, -1))
    np.testing.assert_array_equal(join_windows(tiles, window), features)


@pytest.mark.parametrize("window", [(3, 2), (2, 4), (8, 2)])
def test_a_window_that_does_not_divide_the_map_is_refused_naming_both(window):
    message = rf"^window {window[0]} x {window[1]} does not divide the feature map, 4 x 6; allowed: "
    with pytest.raises(ValueError, match=message):
        check_window(window, 4, 6)
    with pytest.raises(ValueError, match=message):
        split_windows(FEATURES, window)
