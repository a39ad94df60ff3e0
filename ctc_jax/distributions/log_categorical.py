"""Log of a softmax at one entry, with a derivative that reads its inputs once. Tests: test_log_categorical.py."""

import math
from functools import reduce

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

# Entries taken up in one pass over the elements; their logits stay in registers between maximum and exponential.
BLOCK = 8


@jax.custom_vjp
def log_categorical(
    logits: Float[Array, "entries *elements"], entry: Float[Array, "*elements"]
) -> Float[Array, "*elements"]:
    """`log softmax(logits)_entry` over the leading axis, nats.

    Finite logits; `entry` holds whole numbers. Reverse mode only, first derivatives only.

    Elements are taken in their own shape: were an axis that is split over devices merged with one outside it, every
    device would gather all logits and do all the work.
    """
    return _at_entry(logits, entry)[0]


def _at_entry(logits, entry):
    """The value, and the normalizer in two parts, whose sum would lose digits of large logits.

    A loop over blocks of entries with a running maximum: XLA's CPU backend gives a reduction over the leading axis
    strided passes of its own, 20 times as long.
    """
    size = math.gcd(logits.shape[0], BLOCK)

    def add(index, carry):
        largest, total, chosen = carry
        rows = [lax.dynamic_index_in_dim(logits, index * size + row, 0, keepdims=False) for row in range(size)]
        larger = reduce(jnp.maximum, rows, largest)
        total = total * jnp.exp(largest - larger) + sum(jnp.exp(row - larger) for row in rows)
        for offset, row in enumerate(rows):
            chosen = jnp.where(entry == index * size + offset, row, chosen)
        return larger, total, chosen

    # The least finite number: the difference of two infinities is none.
    start = jnp.full(entry.shape, jnp.finfo(logits.dtype).min, logits.dtype)
    zeros = jnp.zeros(entry.shape, logits.dtype)
    largest, total, chosen = lax.fori_loop(0, logits.shape[0] // size, add, (start, zeros, zeros))
    log_total = jnp.log(total)
    return chosen - largest - log_total, largest, log_total


def _forward(logits, entry):
    value, largest, log_total = _at_entry(logits, entry)
    return value, (logits, entry, largest, log_total)


def _backward(saved, cotangent):
    logits, entry, largest, log_total = saved
    index = lax.broadcasted_iota(entry.dtype, logits.shape, 0)
    chosen = jnp.where(index == entry[None], 1.0, 0.0)
    return cotangent[None] * (chosen - jnp.exp(logits - largest[None] - log_total[None])), None


log_categorical.defvjp(_forward, _backward)
