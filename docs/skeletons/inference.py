"""Random-walk Metropolis (Metropolis et al. 1953). Copy to ctc_jax/inference/. Tests: test_infer.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.inference.method import AbstractMethod, LogJoint, Position, State
from ctc_jax.options import option


@dataclass(frozen=True)
class RandomWalk(AbstractMethod):
    """A Gaussian step, accepted or not by the ratio of densities; it needs no gradient."""

    step_size: float = option(0.5, "standard deviation of a step, in units of the latents", above=0)

    def init(self, position: Position, log_joint: LogJoint) -> State:
        """Nothing is kept beside the position."""
        return State(position, log_joint(position), ())

    def move(self, key: Key[Array, ""], state: State, log_joint: LogJoint) -> tuple[State, Float[Array, ""]]:
        """One proposal."""
        propose, accept = jax.random.split(key)
        leaves, tree = jax.tree.flatten(state.position)
        keys = jax.random.split(propose, len(leaves))
        moved = [
            leaf + self.step_size * jax.random.normal(one, leaf.shape) for one, leaf in zip(keys, leaves, strict=True)
        ]
        proposal = self.init(jax.tree.unflatten(tree, moved), log_joint)
        probability = jnp.exp(jnp.minimum(proposal.log_joint - state.log_joint, 0.0))
        accepted = jax.random.uniform(accept) < probability  # of NaN as well it is False
        return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), proposal, state), probability
