"""Features of Inception-v3 as in Fréchet inception distances, from a user's weights. Tests: test_inception.py.

The network of Szegedy et al. 2016 (arXiv:1512.00567) up to its last pooling, 2,048 numbers, pooling as the FID's own
graph does (Heusel et al. 2017, arXiv:1706.08500): averages leave out what lies beyond the border, and the last block
takes a maximum. Images are resized to 299 x 299 by bilinear interpolation, without antialiasing, as pytorch-fid does.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ctc_jax.evaluation.features import FeatureSpace
from ctc_jax.options import OptionError

# The name of the space.
INCEPTION = "inception"
SIDE, IMAGES_PER_CALL = 299, 50
# Added to variances before their root, as the network was trained.
EPSILON = 1e-3
# A name and a shape to an array, of a convolution [outputs, inputs, height, width].
Weights = Callable[[str, tuple[int, ...]], Array]
Features = Float[Array, "batch _ _ _"]


def inception_space(path: str) -> FeatureSpace:
    """The space of these features.

    Raises:
      OptionError: the weights cannot be read.
    """
    weights = jax.device_put(read_weights(path))
    return FeatureSpace(jax.jit(partial(inception_features, weights)), images_per_call=IMAGES_PER_CALL)


def read_weights(path: str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, named and shaped as in PyTorch's checkpoints of the network.

    Those of its classifier and auxiliary classifier, and counts of batches, are left out.

    Args:
      path: of the file.

    Raises:
      OptionError: there is no such file, it is no `.npz`, or an array is missing, of another shape or not finite.
    """

    def refused(why: str) -> OptionError:
        return OptionError(
            "inception_weights", path, f"an .npz of Inception-v3's weights (docs/metrics.md); here {why}"
        )

    try:
        # Opened here: of a file that is cut off numpy leaves its own open.
        with Path(path).expanduser().open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = {name: file[name] for name in expected_shapes() if name in file.files}
    except OSError as error:
        raise refused(f"is {error.strerror or 'no such file'}".lower()) from None
    except (ValueError, EOFError, BadZipFile, AttributeError, TypeError):
        raise refused("is no .npz of numbers") from None
    for name, shape in expected_shapes().items():
        if name not in found:
            raise refused(f"{name} is missing")
        if found[name].shape != shape or found[name].dtype.kind != "f":
            raise refused(f"{name} is {found[name].dtype} of shape {found[name].shape}, not floats of {shape}")
        if not np.isfinite(found[name]).all():
            raise refused(f"{name} holds numbers that are not finite")
    return {name: array.astype(np.float32) for name, array in found.items()}


@cache
def expected_shapes() -> Mapping[str, tuple[int, ...]]:
    """Names of all arrays of the network, and their shapes."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, shape: tuple[int, ...]) -> Array:
        shapes[name] = shape
        return jnp.zeros(shape)

    jax.eval_shape(partial(_network, note), jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32))
    return shapes


def inception_features(weights: Mapping[str, Array], images: Features) -> Float[Array, "batch 2048"]:
    """The means over positions after the last block.

    Args:
      weights: of `read_weights`.
      images: levels rescaled to [0, 1], of any size; grey ones count as three equal channels, opacity is left out.
    """
    color = images[..., :3] if images.shape[-1] >= 3 else jnp.repeat(images[..., :1], 3, axis=-1)
    large = jax.image.resize(color, (len(color), SIDE, SIDE, 3), "bilinear", antialias=False)
    return jnp.mean(_network(lambda name, shape: weights[name], 2.0 * large - 1.0), axis=(1, 2))


def _network(weights: Weights, x: Features) -> Features:
    def conv(name, x, width, kernel=(1, 1), stride=1, same=True):
        """A convolution without bias, the running normalization, ReLU."""
        kernel = weights(f"{name}.conv.weight", (width, x.shape[-1], *kernel))
        x = jax.lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            [(size // 2 if same and stride == 1 else 0,) * 2 for size in kernel.shape[2:]],
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
        )
        scale, shift, mean, variance = (
            weights(f"{name}.bn.{of}", (width,)) for of in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / jnp.sqrt(variance + EPSILON)
        return jax.nn.relu(x * factor[None, None, None] + (shift - mean * factor)[None, None, None])

    def block(name, x, pool, *branches):
        """What branches of convolutions make of x, beside one another; each has its names' first part in common."""

        def along(steps):
            y = x
            for step in steps:
                if isinstance(step, list):  # of one input
                    return [conv(f"{name}.{part}", y, *of) for part, *of in step]
                part, *of = step
                y = conv(f"{name}.{part}", y, *of)
            return [y]

        return jnp.concatenate([y for steps in branches for y in along(steps)] + [pool], axis=-1)

    three, five, wide, tall = (3, 3), (5, 5), (1, 7), (7, 1)
    x = conv("Conv2d_1a_3x3", x, 32, three, 2)
    x = conv("Conv2d_2a_3x3", x, 32, three, 1, False)
    x = _maximum(conv("Conv2d_2b_3x3", x, 64, three), 2)
    x = conv("Conv2d_4a_3x3", conv("Conv2d_3b_1x1", x, 80), 192, three, 1, False)
    x = _maximum(x, 2)
    for name, width in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        x = block(
            name,
            x,
            conv(f"{name}.branch_pool", _average(x), width),
            [("branch1x1", 64)],
            [("branch5x5_1", 48), ("branch5x5_2", 64, five)],
            [("branch3x3dbl_1", 64), ("branch3x3dbl_2", 96, three), ("branch3x3dbl_3", 96, three)],
        )
    x = block(
        "Mixed_6a",
        x,
        _maximum(x, 2),
        [("branch3x3", 384, three, 2)],
        [("branch3x3dbl_1", 64), ("branch3x3dbl_2", 96, three), ("branch3x3dbl_3", 96, three, 2)],
    )
    for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        x = block(
            name,
            x,
            conv(f"{name}.branch_pool", _average(x), 192),
            [("branch1x1", 192)],
            [("branch7x7_1", width), ("branch7x7_2", width, wide), ("branch7x7_3", 192, tall)],
            [
                ("branch7x7dbl_1", width),
                ("branch7x7dbl_2", width, tall),
                ("branch7x7dbl_3", width, wide),
                ("branch7x7dbl_4", width, tall),
                ("branch7x7dbl_5", 192, wide),
            ],
        )
    x = block(
        "Mixed_7a",
        x,
        _maximum(x, 2),
        [("branch3x3_1", 192), ("branch3x3_2", 320, three, 2)],
        [
            ("branch7x7x3_1", 192),
            ("branch7x7x3_2", 192, wide),
            ("branch7x7x3_3", 192, tall),
            ("branch7x7x3_4", 192, three, 2),
        ],
    )
    for name, pooled in (("Mixed_7b", _average), ("Mixed_7c", partial(_maximum, stride=1))):
        x = block(
            name,
            x,
            conv(f"{name}.branch_pool", pooled(x), 192),
            [("branch1x1", 320)],
            [("branch3x3_1", 384), [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))]],
            [
                ("branch3x3dbl_1", 448),
                ("branch3x3dbl_2", 384, three),
                [("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))],
            ],
        )
    return x


def _maximum(x: Features, stride: int) -> Features:
    """Of 3 x 3 positions; with stride 1 also at the border."""
    return jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, stride, stride, 1), "SAME" if stride == 1 else "VALID"
    )


def _average(x: Features) -> Features:
    """Of 3 x 3 positions, of those that there are at the border."""

    def total(of):
        return jax.lax.reduce_window(of, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")

    return total(x) / total(jnp.ones_like(x[:1, :, :, :1]))
