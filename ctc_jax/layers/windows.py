"""Non-overlapping windows of a feature map, as an axis of their own. Tests: tests/layers/test_windows.py."""

from jaxtyping import Array, Shaped


def check_window(window: tuple[int, int], height: int, width: int) -> None:
    """Refuses a window that does not tile a feature map: for whoever builds a model and knows the size.

    Raises:
      ValueError: the window does not divide the feature map.
    """
    if height % window[0] or width % window[1]:
        raise ValueError(
            f"window {window[0]} x {window[1]} does not divide the feature map, {height} x {width}; "
            "allowed: one whose sides divide it"
        )


def split_windows(
    features: Shaped[Array, "batch height width channels"], window: tuple[int, int]
) -> Shaped[Array, "batch rows columns channels positions"]:
    """The positions of each window last, row by row.

    Raises:
      ValueError: the window does not divide the feature map.
    """
    batch, height, width, channels = features.shape
    check_window(window, height, width)
    tiles = features.reshape(batch, height // window[0], window[0], width // window[1], window[1], channels)
    return tiles.transpose(0, 1, 3, 5, 2, 4).reshape(*tiles.shape[:2], tiles.shape[3], channels, window[0] * window[1])


def join_windows(
    tiles: Shaped[Array, "batch rows columns channels positions"], window: tuple[int, int]
) -> Shaped[Array, "batch height width channels"]:
    """The inverse of `split_windows`."""
    batch, rows, columns, channels, _ = tiles.shape
    tiles = tiles.reshape(batch, rows, columns, channels, *window).transpose(0, 1, 4, 2, 5, 3)
    return tiles.reshape(batch, rows * window[0], columns * window[1], channels)
