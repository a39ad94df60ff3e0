"""Blocks of one kind and size, in a loop of the compiled program or not. Tests: tests/layers/test_equal_blocks.py."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key

Features = Float[Array, "batch height width channels"]


@dataclass(frozen=True)
class EqualBlocks:
    """Blocks that differ in their parameters alone, which are stacked: one layout for loops and for none.

    Attributes:
      block: any of them, without parameters, and part of no other module.
      params: of all; a leaf has one more axis in front, of blocks.
      rolled: whether a loop takes one block after another, so that the program is as large as one. With convolutions
        XLA's CPU backend is slow at it.
    """

    block: nn.Module
    params: Any
    rolled: bool

    def at(self, params: Any) -> nn.Module:
        """A block of these parameters."""
        return self.block.bind({"params": params})

    def own(self, first: int, count: int) -> Any:
        """Parameters of `count` neighbors from a first one on, from 0."""
        return jax.tree.map(lambda leaf: leaf[first : first + count], self.params)

    def __call__(self, features: Features) -> Features:
        """All blocks, one after another, each a function from features to such of the same shape."""
        if self.rolled:
            return jax.lax.scan(lambda features, own: (self.at(own)(features), None), features, self.params)[0]
        for number in range(len(jax.tree.leaves(self.params)[0])):
            features = self.at(jax.tree.map(lambda leaf, at=number: leaf[at], self.params))(features)
        return features


def stacked(block: nn.Module, count: int, *inputs: Features) -> Callable[[Key[Array, ""]], Any]:
    """An initializer of the parameters of `count` such blocks, each as if it were alone.

    Args:
      block: of which a call with the inputs meets every layer.
      count: of blocks, 1 or more.
      *inputs: what a block is called with.
    """
    return lambda key: jax.vmap(lambda key: block.init(key, *inputs)["params"])(jax.random.split(key, count))
