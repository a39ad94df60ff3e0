"""What every way to improve or sample the latents of one image is called with. Tests: tests/inference/test_infer.py."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.options import Options, option

# Values of an image's latents by name, and log p(x, z) of them with the masks as they are, nats.
Position = dict[str, Array]
LogJoint = Callable[[Position], Float[Array, ""]]


class State(NamedTuple):
    """Where a chain stands.

    Attributes:
      position: values of the latents.
      log_joint: log p(x, z) there, nats.
      inner: what the method keeps beside.
    """

    position: Position
    log_joint: Float[Array, ""]
    inner: Any


@dataclass(frozen=True)
class AbstractMethod(Options, abc.ABC):
    """A method is its options; hashable, since it is a static argument of compiled functions.

    Attributes:
      samples: whether its states are draws, so that several chains and diagnostics make sense.
      step_size: of the first move, in units of the latents (squared for Langevin dynamics).
    """

    samples: ClassVar[bool] = True
    step_size: float = option(0.1, "of a move", above=0)

    @abc.abstractmethod
    def init(self, position: Position, log_joint: LogJoint) -> State:
        """The state of a chain that starts at a position."""

    def resume(self, state: State, log_joint: LogJoint) -> State:
        """The state of a chain at the same position after masks, and with them `log_joint`, have changed."""
        return self.init(state.position, log_joint)

    @abc.abstractmethod
    def move(self, key: Key[Array, ""], state: State, log_joint: LogJoint) -> tuple[State, Float[Array, ""]]:
        """The next state, and the probability with which it was accepted."""


def keys_of(key: Key[Array, ""], chains: int, images: int) -> Key[Array, "chains images"]:
    """A key for each chain of each image; an image's own, whatever the batch."""
    fold = jax.random.fold_in
    return jax.vmap(lambda chain: jax.vmap(partial(fold, fold(key, chain)))(jnp.arange(images)))(jnp.arange(chains))
