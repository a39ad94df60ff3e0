import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions.mask_gradient import refuse_pathwise


def test_logits_pass_through_and_only_their_derivative_is_refused():
    logits = jnp.array([0.5, -1.0])
    np.testing.assert_array_equal(jax.jit(refuse_pathwise)(logits), logits)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(x * refuse_pathwise(logits)))(logits), logits)
    with pytest.raises(NotImplementedError, match="TraceGraph_ELBO"):
        jax.jit(jax.grad(lambda logits: jnp.sum(refuse_pathwise(logits))))(logits)
