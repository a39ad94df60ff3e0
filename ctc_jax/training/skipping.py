"""Steps whose gradient is out of all proportion to those before are skipped. Tests: tests/training/test_skipping.py."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

DECAY = 0.98  # of the mean of the logarithms: that of the last fifty
FIRST = 20  # steps that are taken whatever they are, by which the mean is known
MOST_IN_A_ROW = 10  # that many are no spike but how things are now, and the mean starts again from there


class GradientLevel(NamedTuple):
    """What gradients are like, as far as a run has come.

    Attributes:
      log_norm: moving average of the logarithm of their norms, float32 scalar.
      seen: steps in it, int32 scalar.
      in_a_row: skipped last, int32 scalar.
      skipped: of the whole run, int32 scalar.
    """

    log_norm: Any
    seen: Any
    in_a_row: Any
    skipped: Any


@dataclass(frozen=True)
class Skipping:
    """A step is skipped whose gradient's norm is more than `factor` times the geometric mean of those before.

    Very deep VAEs need it, whose gradients now and then are thousands of times as large as usual (Child 2021, section
    5, with a threshold that is fixed). This one adapts: a skipped norm counts in the mean as the threshold, so that the
    threshold rises, and after `MOST_IN_A_ROW` skipped steps the next is taken and the mean starts anew.

    Attributes:
      factor: above 1.
    """

    factor: float

    def init(self) -> GradientLevel:
        """Before the first step."""
        zero = jnp.zeros((), jnp.int32)
        return GradientLevel(jnp.zeros(()), zero, zero, zero)

    def __call__(self, level: GradientLevel, norm: Float[Array, ""]) -> tuple[Bool[Array, ""], GradientLevel]:
        """Whether a step is skipped, and the level with it."""
        # A gradient of exactly 0 would pull the mean of logarithms to minus infinity.
        log_norm, highest = (
            jnp.log(jnp.maximum(norm, jnp.finfo(jnp.float32).tiny)),
            level.log_norm + math.log(self.factor),
        )
        above = (level.seen >= FIRST) & (log_norm > highest)
        anew = above & (level.in_a_row >= MOST_IN_A_ROW)
        skip = above & ~anew
        seen = jnp.where(anew, 1, level.seen + 1)
        rate = jnp.maximum(1.0 - DECAY, 1.0 / seen)
        mean = level.log_norm + rate * (jnp.where(skip, highest, log_norm) - level.log_norm)
        return skip, GradientLevel(mean, seen, jnp.where(skip, level.in_a_row + 1, 0), level.skipped + skip)
