"""A refusal of the gradient that pathwise methods would take through a mask. Tests: test_mask_gradient.py."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float


@jax.custom_jvp
def refuse_pathwise(logits: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The logits themselves, of which no derivative can be taken.

    numpyro hands a draw's intermediates to `log_prob` where it takes the derivative of draw and density together, as
    `Trace_ELBO` does, and holds them back where the score of the mask is taken into account, as in `TraceGraph_ELBO`.

    Raises:
      NotImplementedError: a derivative by the logits is taken.
    """
    return logits


@partial(refuse_pathwise.defjvp, symbolic_zeros=True)
def _jvp(primals, tangents):
    (logits,), (tangent,) = primals, tangents
    if not isinstance(tangent, SymbolicZero):
        raise NotImplementedError(
            "mask logits have no pathwise gradient; allowed: TraceGraph_ELBO, or a latent for the values alone"
        )
    return logits, jnp.zeros_like(logits)
