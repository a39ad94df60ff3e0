"""Exchange of resolution for channels, the way down and up. Tests: tests/layers/test_space_to_depth.py."""

from jaxtyping import Array, Shaped


def space_to_depth(
    images: Shaped[Array, "batch height width channels"], block: int = 2
) -> Shaped[Array, "batch height/{block} width/{block} channels*{block}*{block}"]:
    """Moves each block x block patch into the channels; `block` divides height and width."""
    batch, height, width, channels = images.shape
    patches = images.reshape(batch, height // block, block, width // block, block, channels)
    return patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // block, width // block, block * block * channels)


def depth_to_space(
    features: Shaped[Array, "batch height width channels"], block: int = 2
) -> Shaped[Array, "batch height*{block} width*{block} channels//({block}*{block})"]:
    """The inverse of `space_to_depth`; block * block divides the channels."""
    batch, height, width, channels = features.shape
    patches = features.reshape(batch, height, width, block, block, channels // block**2)
    return patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * block, width * block, channels // block**2)
