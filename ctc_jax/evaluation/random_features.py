"""Features of a fixed random convolutional network; nothing is trained. Tests: test_random_features.py.

Not comparable with Inception features or scores.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SEED = 6_001
WIDTHS = (16, 32, 64)  # channels of the layers, at full, half and quarter resolution
CELLS = 2  # features are means over the cells of a 2 x 2 grid, so that they know roughly where


def random_features(images: Float[Array, "batch height width channels"]) -> Float[Array, "batch features"]:
    """Three layers of 3 x 3 convolutions with Gaussian weights and ReLU, each read out.

    Each layer's feature maps are averaged in the four quarters of the picture: 4 (16 + 32 + 64) = 448 features. Weights
    have variance 2 / inputs (He et al. 2015) and no biases; between layers pixels are averaged in pairs.

    Args:
      images: levels rescaled to [0, 1].
    """
    hidden, features = 2.0 * images - 1.0, []
    for layer, width in enumerate(WIDTHS):
        if layer:
            hidden = area_mean(hidden, *(max(1, size // 2) for size in hidden.shape[1:3]))
        hidden = jax.nn.relu(
            jax.lax.conv_general_dilated(
                hidden,
                _weights(layer, hidden.shape[-1], width),
                window_strides=(1, 1),
                padding="SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        )
        features.append(area_mean(hidden, CELLS, CELLS).reshape(len(images), -1))
    return jnp.concatenate(features, axis=1)


def area_mean(
    features: Float[Array, "batch height width channels"], rows: int, columns: int
) -> Float[Array, "batch {rows} {columns} channels"]:
    """Means over the cells of a grid that divides the picture evenly, pixels on a border counting in part."""
    down, across = _shares(features.shape[1], rows), _shares(features.shape[2], columns)
    return jnp.einsum("rh,cw,bhwf->brcf", down, across, features)


def _shares(size: int, cells: int) -> np.ndarray:
    """What each of `size` pixels counts in the mean of each of `cells` equal intervals, `[cells, size]`."""
    edges, pixels = np.arange(cells + 1) * size / cells, np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels[None] + 1) - np.maximum(edges[:-1, None], pixels[None])
    return (np.maximum(overlap, 0.0) * cells / size).astype(np.float32)


def _weights(layer: int, inputs: int, outputs: int) -> np.ndarray:
    normal = np.random.default_rng((SEED, layer)).standard_normal((3, 3, inputs, outputs))
    return (normal * np.sqrt(2.0 / (9 * inputs))).astype(np.float32)
