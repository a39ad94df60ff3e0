"""The same dense layer at every position of a feature map. Tests: tests/layers/test_positionwise.py."""

import flax.linen as nn
from jaxtyping import Array, Float


def positionwise(dense: nn.Dense, features: Float[Array, "*positions channels"]) -> Float[Array, "*positions features"]:
    """`dense(features)`, with the positions flattened first.

    A kernel's gradient that contracts over several axes makes XLA's CPU backend transpose the whole cotangent, four
    times the time of the product; over one axis it does not.
    """
    return dense(features.reshape(-1, features.shape[-1])).reshape(*features.shape[:-1], dense.features)
