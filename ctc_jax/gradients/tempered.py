"""Relaxed masks whose temperature may fall in training. Tests: tests/gradients/test_tempered.py."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.gradients.estimator import SinglePass, Step
from ctc_jax.options import option


@dataclass(frozen=True)
class Tempered(SinglePass):
    """Single-pass estimators with a temperature: a schedule by equal factors, constant unless it has steps."""

    temperature: float = option(1.0, "of the relaxed masks, at the first step", above=0.0)
    temperature_end: float = option(1.0, "temperature from the end of the schedule on", above=0.0)
    temperature_steps: int = option(0, "steps from the first temperature to the last; 0 keeps the first", at_least=0)

    def temperature_at(self, step: Step) -> Float[Array, ""] | float:
        """The temperature at a step of training; None is the end of the schedule."""
        if not self.temperature_steps:
            return self.temperature
        if step is None:
            return self.temperature_end
        done = jnp.clip(jnp.asarray(step, jnp.float32) / self.temperature_steps, 0.0, 1.0)
        return self.temperature * (self.temperature_end / self.temperature) ** done
