"""Parameters of another run as the start of this one. Tests: tests/training/test_warm_start.py."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ctc_jax.models import Params
from ctc_jax.training.sharding import leaf_name
from ctc_jax.training.step import TrainState

# Where a flow or a Hamiltonian family keeps the diagonal Gaussian that it starts from: as a family of its own, the same
# Gaussian stands a level higher.
INNER = "start"


def warm_started(state: TrainState, params: Params) -> tuple[TrainState, list[str]]:
    """A fresh state with the parameters of another model, where names and shapes agree.

    The diagonal Gaussian of one model's posterior becomes the one that another's flow or Hamiltonian dynamics start
    from, and the other way round. The optimizer starts anew.

    Args:
      state: before the first step.
      params: those of the other model.

    Returns:
      The state, and the names of the parameters that stayed fresh.

    Raises:
      ValueError: no parameter agrees.
    """
    known = {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    fresh = [leaf_name(path) for path, leaf in leaves if not _fits(known.get(_name(path)), leaf)]
    if len(fresh) == len(leaves):
        raise ValueError("no parameter has the name and shape of one of this model")

    def chosen(path: tuple, leaf: Array) -> Array:
        other = known.get(_name(path))
        # A copy: the step donates its state, and the average must not share a buffer with the parameters.
        return jnp.array(other, leaf.dtype) if _fits(other, leaf) else leaf

    started = jax.tree_util.tree_map_with_path(chosen, state.params)
    average = state.average._replace(params=jax.tree.map(jnp.copy, started)) if state.average else ()
    return dataclasses.replace(state, params=started, average=average), fresh


def _name(path: tuple) -> str:
    return "/".join(part for part in leaf_name(path).split("/") if part != INNER)


def _fits(other: Array | None, leaf: Array) -> bool:
    return other is not None and other.shape == leaf.shape
