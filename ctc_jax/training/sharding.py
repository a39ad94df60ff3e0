"""Which part of the training state each device holds, by rules. Tests: tests/training/test_sharding.py."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# Says for an array of a shape how a mesh divides its axes.
Rule = Callable[[tuple[int, ...], Mesh], PartitionSpec]


def replicate(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    """Every device holds the whole array."""
    del shape, mesh
    return PartitionSpec()


def by_size(least: int) -> Rule:
    """The longest axis of an array of `least` numbers or more is divided among the devices, if they can share one.

    Each device then holds its part of parameters, average and moments, and gets the rest while it needs them (ZeRO,
    Rajbhandari et al. 2020, arXiv:1910.02054, as XLA's partitioner does it). Small arrays would cost more to send than
    to hold.
    """

    def divide(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
        lengths = [length if length % mesh.size == 0 else 0 for length in shape]
        if math.prod(shape) < least or not any(lengths):
            return PartitionSpec()
        axis = max(range(len(shape)), key=lengths.__getitem__)
        return PartitionSpec(*[None] * axis, "data")

    return divide


# Regular expressions on the names of arrays, and their rules; the first that matches holds.
RULES: tuple[tuple[str, Rule], ...] = ((".*", replicate),)


def state_sharding(abstract_state: Any, mesh: Mesh, rules: Sequence[tuple[str, Rule]] = RULES) -> Any:
    """The sharding of every array of a state, which its initialization, its steps and its restoring keep to.

    Args:
      abstract_state: a pytree of shapes, from `jax.eval_shape`.
      mesh: the devices.
      rules: an expression matches a whole name, such as `params/params/encoder/kernel`; parameters, their average
        and the moments of the optimizer have a name each that ends alike.

    Returns:
      A pytree of `NamedSharding` of the structure of `abstract_state`.

    Raises:
      ValueError: no rule is for an array.
    """

    def placed(path: tuple, leaf: Any) -> NamedSharding:
        name = leaf_name(path)
        for pattern, rule in rules:
            if re.fullmatch(pattern, name):
                return NamedSharding(mesh, rule(tuple(leaf.shape), mesh))
        raise ValueError(f"no sharding rule is for {name}; the rules are for {', '.join(rule[0] for rule in rules)}")

    return jax.tree_util.tree_map_with_path(placed, abstract_state)


def leaf_name(path: tuple) -> str:
    """The path of a leaf in a pytree, with slashes."""
    return "/".join(str(getattr(part, "name", getattr(part, "key", getattr(part, "idx", part)))) for part in path)
