"""Descent on -log p(x, z), as predictive coding has it. Tests: tests/inference/test_infer.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.inference.method import AbstractMethod, LogJoint, Position, State
from ctc_jax.options import option

# After a step that goes up, and after one that does not.
SHORTER, LONGER = 0.5, 1.2


@dataclass(frozen=True)
class Descent(AbstractMethod):
    """Steps along the gradient of log p(x, z), each image with a step size of its own that falls where one would lower
    log p(x, z) and such a step is not taken; masks are then the best of their alternatives, one window after another:
    what is found never gets worse. It ends at a mode, not at a sample, and log p(x, z) there is no bound on log p(x).
    """

    samples = False
    step_size: float = option(0.1, "of the first step, in units of the latents squared", above=0)

    def init(self, position: Position, log_joint: LogJoint) -> State:
        """Beside the position its gradient and the step size."""
        value, gradient = jax.value_and_grad(log_joint)(position)
        return State(position, value, (gradient, jnp.asarray(self.step_size, jnp.float32)))

    def resume(self, state: State, log_joint: LogJoint) -> State:
        """With the step size as it was."""
        _, size = state.inner
        value, gradient = jax.value_and_grad(log_joint)(state.position)
        return State(state.position, value, (gradient, size))

    def move(self, key: Key[Array, ""], state: State, log_joint: LogJoint) -> tuple[State, Float[Array, ""]]:
        """A step, if it rises."""
        del key
        gradient, size = state.inner
        tried = jax.tree.map(lambda value, slope: value + size * slope, state.position, gradient)
        value, slope = jax.value_and_grad(log_joint)(tried)
        rises = value > state.log_joint  # of NaN as well it is False
        position, gradient = jax.tree.map(
            lambda new, old: jnp.where(rises, new, old), (tried, slope), (state.position, gradient)
        )
        size *= jnp.where(rises, LONGER, SHORTER)
        return State(position, jnp.where(rises, value, state.log_joint), (gradient, size)), rises.astype(jnp.float32)
