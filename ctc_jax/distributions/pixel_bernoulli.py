"""Binary levels. Tests: test_pixel_bernoulli.py."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, Num
from numpyro.distributions import BernoulliLogits

from ctc_jax.distributions.levels import told_levels


@jax.custom_jvp
def _log_sigmoid(logit: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    # numpyro's has derivatives 0 and 1 at a logit of 0, in place of 1/2; jax.nn's takes twice as many exponentials.
    return jnp.minimum(logit, 0.0) - jnp.log1p(jnp.exp(-jnp.abs(logit)))


@_log_sigmoid.defjvp
def _jvp(primals, tangents):
    (logit,), (tangent,) = primals, tangents
    decay = jnp.exp(-jnp.abs(logit))
    return _log_sigmoid(logit), tangent * jnp.where(logit >= 0, decay, 1.0) / (1.0 + decay)


class PixelBernoulli(BernoulliLogits):
    """Levels 0 and 1; arguments are broadcast explicitly, which numpyro leaves to rank promotion."""

    def sample(self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()) -> Int[Array, "..."]:
        """Levels of shape `sample_shape + batch_shape`, int32."""
        probs = jnp.broadcast_to(self.probs, tuple(sample_shape) + self.batch_shape)
        return jax.random.bernoulli(key, probs).astype(jnp.int32)

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """Log mass, nats, -inf at other numbers; leading axes of `value` may be more than those of the logits."""
        value, outside = told_levels(value, 2)
        shape = lax.broadcast_shapes(value.shape, self.batch_shape)
        logits, value, outside = (jnp.broadcast_to(array, shape) for array in (self.logits, value, outside))
        return jnp.where(outside == 0, _log_sigmoid(jnp.where(value == 1, logits, -logits)), outside)

    @property
    def mode(self) -> Int[Array, "..."]:
        """The more probable level, int32."""
        return (self.logits > 0).astype(jnp.int32)
