"""The width of a neighborhood that shrinks in training. Tests: tests/layers/test_neighborhood_schedule.py."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@dataclass(frozen=True)
class NeighborhoodSchedule:
    """Sigma falls linearly from `start` to `end` over `steps`, and stays; with 0 steps it is `end` throughout.

    Linear, because it ends at 0, the identity, which a geometric fall does not reach.

    Attributes:
      start: squared grid distance at which a neighbor's weight has fallen by e, at step 0.
      end: the same, from `steps` on.
      steps: training steps.

    Raises:
      ValueError: a negative or infinite width, or negative steps.
    """

    start: float = 1.0
    end: float = 0.0
    steps: int = 0

    def __post_init__(self):
        for name in ("start", "end", "steps"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"neighborhood {name} is {value}; allowed: finite, 0 or more")

    def __call__(self, step: Int[Array, ""] | int | None = None) -> Float[Array, ""]:
        """Sigma at a training step; None is the end of the schedule, as evaluation has it."""
        if step is None or not self.steps:
            return jnp.float32(self.end)
        done = jnp.clip(jnp.float32(step) / self.steps, 0.0, 1.0)
        # At 1 exactly `end`, and so exactly the identity where that is 0.
        return (1.0 - done) * self.start + done * self.end
