"""Draws from a softmax over many entries with one uniform number each. Tests: test_draw_categorical.py."""

import math
from functools import reduce

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ctc_jax.distributions.log_categorical import BLOCK


def draw_categorical(
    logits: Float[Array, "entries *elements"], uniform: Float[Array, "*draws_elements"]
) -> Int[Array, "*draws_elements"]:
    """The first entry at which the cumulated softmax over the leading axis is above `uniform`, int32.

    `jax.random.categorical` takes a random number and two logarithms for each entry; with 256 of them that is nearly
    all the time of a sample. Probabilities are met to 2^-23, the resolution of a float32 uniform number; an entry whose
    probability is 0 in float32 is never drawn.

    Args:
      logits: finite.
      uniform: numbers in [0, 1); axes before the elements' are further draws.
    """
    entries, elements = len(logits), logits.shape[1:]
    size = math.gcd(entries, BLOCK)

    def rows(index):
        return [lax.dynamic_index_in_dim(logits, index * size + row, 0, keepdims=False) for row in range(size)]

    def add(index, total):
        return sum((jnp.exp(row - largest) for row in rows(index)), total)

    # Loops over blocks, as in log_categorical: XLA's CPU backend is slow at reductions over the leading axis.
    blocks, least = entries // size, jnp.full(elements, jnp.finfo(logits.dtype).min, logits.dtype)
    largest = lax.fori_loop(0, blocks, lambda index, most: reduce(jnp.maximum, rows(index), most), least)
    total = lax.fori_loop(0, blocks, add, jnp.zeros(elements, logits.dtype))
    threshold = uniform * jnp.broadcast_to(total, uniform.shape)

    def count(index, carry):
        cumulated, passed = carry
        for row in rows(index):
            cumulated = cumulated + jnp.exp(row - largest)
            # Where rounding has brought the threshold up to the total, the last entry that adds to it is drawn.
            below = jnp.where(cumulated < total, cumulated, jnp.inf)
            passed = passed + (jnp.broadcast_to(below, uniform.shape) <= threshold)
        return cumulated, passed

    start = jnp.zeros(elements, logits.dtype), jnp.zeros(uniform.shape, jnp.int32)
    _, passed = lax.fori_loop(0, blocks, count, start)
    return jnp.minimum(passed, entries - 1)
