"""Markov chains on the latents of an image, over blackjax's transitions. Tests: tests/inference/test_infer.py.

blackjax computes something as it is imported, after which the devices of the CPU cannot be chosen any more; so it is
imported where it is used.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.inference.method import AbstractMethod, LogJoint, Position, State
from ctc_jax.options import option


@dataclass(frozen=True)
class Langevin(AbstractMethod):
    """z + e grad log p(x, z) + sqrt(2 e) noise, never rejected: its stationary law is biased by the order of e."""

    step_size: float = option(0.01, "e, in units of the latents squared", above=0)

    def init(self, position: Position, log_joint: LogJoint) -> State:
        """Beside the position its gradient."""
        value, gradient = jax.value_and_grad(log_joint)(position)
        return State(position, value, gradient)

    def move(self, key: Key[Array, ""], state: State, log_joint: LogJoint) -> tuple[State, Float[Array, ""]]:
        """One step of Euler and Maruyama."""
        from blackjax.mcmc import diffusions

        step = diffusions.overdamped_langevin(jax.value_and_grad(log_joint))
        old = diffusions.DiffusionState(state.position, state.log_joint, state.inner)
        return State(*step(key, old, self.step_size)), jnp.ones(())


@dataclass(frozen=True)
class _Adjusted(AbstractMethod):
    """A blackjax algorithm whose state begins with position and log density."""

    def algorithm(self, log_joint: LogJoint, position: Position) -> Any:
        """Of blackjax, at these options, for positions like this one."""
        raise NotImplementedError

    def init(self, position: Position, log_joint: LogJoint) -> State:
        """Beside the position the algorithm's own state."""
        inner = self.algorithm(log_joint, position).init(position)
        return State(inner.position, inner.logdensity, inner)

    def move(self, key: Key[Array, ""], state: State, log_joint: LogJoint) -> tuple[State, Float[Array, ""]]:
        """A proposal, accepted or not by Metropolis and Hastings' rule."""
        inner, info = self.algorithm(log_joint, state.position).step(key, state.inner)
        return State(inner.position, inner.logdensity, inner), info.acceptance_rate


@dataclass(frozen=True)
class MALA(_Adjusted):
    """Langevin's move as a proposal: exact at every step size, with about 57% accepted at the best one."""

    step_size: float = option(0.02, "in units of the latents squared", above=0)

    def algorithm(self, log_joint: LogJoint, position: Position) -> Any:
        """Metropolis-adjusted Langevin dynamics (Roberts and Tweedie 1996)."""
        from blackjax import mala

        del position
        return mala(log_joint, self.step_size)


@dataclass(frozen=True)
class HMC(_Adjusted):
    """Leapfrog steps with a fresh momentum as a proposal: exact, with about 65% accepted at the best step size."""

    step_size: float = option(0.1, "of a leapfrog step, in units of the latents", above=0)
    leapfrogs: int = option(10, "steps of a proposal", at_least=1)

    def algorithm(self, log_joint: LogJoint, position: Position) -> Any:
        """Hamiltonian Monte Carlo (Duane et al. 1987; Neal 2011) with unit mass."""
        from blackjax import hmc

        masses = jnp.ones(sum(leaf.size for leaf in jax.tree.leaves(position)))
        return hmc(log_joint, self.step_size, masses, self.leapfrogs)
