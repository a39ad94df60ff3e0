"""What every estimator returns. Tests: every test of an estimator, by tests/gradients/conftest.py."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

# Masks [batch, ...] to rewards [batch]; it closes over everything else that the reward depends on.
Reward = Callable[[Float[Array, "batch *masks"]], Float[Array, " batch"]]


class Estimate(NamedTuple):
    """An estimate of an expected reward, and of its gradient.

    Attributes:
      value: the reward, `[batch]`.
      surrogate: equal to the value; its gradient in anything that the logits or the reward close over is the estimate.
    """

    value: Float[Array, " batch"]
    surrogate: Float[Array, " batch"]


def zero(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """0 with the gradient of `x`."""
    return x - jax.lax.stop_gradient(x)
