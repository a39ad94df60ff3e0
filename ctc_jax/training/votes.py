"""Several processes end a run at one step. Tests: tests/training/test_votes.py."""

from collections import deque
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ctc_jax.data import place
from ctc_jax.training.mesh import replicated


class Votes:
    """Whether any process asks to stop, with one answer for all of them at the same call.

    A signal comes to one host at any moment, but a step needs all of them. So each call sends a vote along with the
    steps, as one more sum over the devices, and reads the outcome of an earlier call, which is there without waiting.

    Args:
      interrupted: asked at each call; of one process alone its answer is the outcome.
      mesh: the devices of all processes.
      behind: calls between a vote and its outcome.
    """

    def __init__(self, interrupted: Callable[[], bool], mesh: Mesh, behind: int):
        self._interrupted, self._behind = interrupted, behind
        self._alone = jax.process_count() == 1
        self._places = NamedSharding(mesh, PartitionSpec("data"))
        self._any = jax.jit(jnp.any, out_shardings=replicated(mesh))
        self._open: deque[jax.Array] = deque()

    def __call__(self) -> bool:
        """The outcome, to be asked once for each call of the training step."""
        mine = self._interrupted()
        if self._alone:
            return mine
        self._open.append(self._any(place(np.full(self._places.mesh.size, mine), self._places)))
        return len(self._open) > self._behind and bool(self._open.popleft())
