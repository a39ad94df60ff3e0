"""The temperature of relaxed masks, which may fall in training. Tests: tests/gradients/test_temperature.py."""

from dataclasses import dataclass

import jax.numpy as jnp

from ctc_jax.errors import ConfigError


@dataclass(frozen=True)
class Temperature:
    """From `start` to `end` by equal factors over `steps` steps, `end` from there on; constant where steps is 0."""

    start: float
    end: float
    steps: int

    def __call__(self, step):
        """At a step of training; None is the end of the schedule."""
        if not self.steps:
            return self.start
        if step is None:
            return self.end
        done = jnp.clip(jnp.asarray(step, jnp.float32) / self.steps, 0.0, 1.0)
        return self.start * (self.end / self.start) ** done


def build(config) -> Temperature:
    """The schedule of a config.

    Args:
      config: the section `estimator` of configs/base.py.

    Raises:
      ConfigError: a temperature that is not above 0, or a negative number of steps.
    """
    for key in ("temperature", "temperature_end"):
        if not 0 < config[key] < float("inf"):
            raise ConfigError(f"estimator.{key}", config[key], "a number above 0")
    if config.temperature_steps < 0:
        raise ConfigError("estimator.temperature_steps", config.temperature_steps, "0 (constant) or more")
    return Temperature(config.temperature, config.temperature_end, config.temperature_steps)
