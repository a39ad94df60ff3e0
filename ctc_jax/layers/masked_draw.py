"""A draw of masked values from their distribution, and what it costs. Tests: tests/layers/test_masked_draw.py."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution
from numpyro.distributions.kl import kl_divergence

from ctc_jax.distributions import BernoulliTimesContinuous, CategoricalTimesContinuous, continuous
from ctc_jax.gradients import BERNOULLI, CATEGORICAL, MaskKind

MaskedLaw = BernoulliTimesContinuous | CategoricalTimesContinuous


class MaskedDraw(NamedTuple):
    """What a layer of masked values returns.

    Attributes:
      value: m * s, as the layer arranges it.
      mask: m, of the shape of the logits: `[batch, *places]` of gates, `[batch, *places, categories]` of one-hot
        masks, the off state last where there is one.
      mask_log_prob: log q(m), nats, `[batch, *places]`; no gradient flows to the mask. Of a relaxed mask, which has
        no log-probability, the interpolation sum_k m_k log q_k.
      value_log_prob: log density of the values selected, nats, `[batch, *places]`; 0 where values are deterministic.
      kl: KL(q || prior), nats, `[batch, *places]`, summed over the masks exactly, whatever mask was drawn. With a
        relaxed mask in the reward, reward less `kl` is no bound.
    """

    value: Float[Array, "batch ..."]
    mask: Float[Array, "batch ..."]
    mask_log_prob: Float[Array, "batch ..."]
    value_log_prob: Float[Array, "batch ..."]
    kl: Float[Array, "batch ..."]


def draw(
    key: Key[Array, ""],
    q: MaskedLaw,
    prior: MaskedLaw,
    select: Callable[[Array, Array], Array],
    *,
    mask: Callable | None = None,
) -> MaskedDraw:
    """Draws a mask, and a value for each of its alternatives.

    Args:
      key: for both.
      q: what to draw from.
      prior: what the KL is against, of the same kind.
      select: `(mask, values)` to what the layer passes on.
      mask: `(key, logits, *, kind)` to a mask that carries a gradient; by default a plain sample, which carries none.
    """
    mask_key, value_key = jax.random.split(key)
    kind = mask_kind(q)
    drawn = kind.sample(mask_key, q.logits)[0] if mask is None else mask(mask_key, q.logits, kind=kind)
    values = continuous.sample(q.values, value_key, ())
    held = jax.lax.stop_gradient(drawn)
    densities = select_values(held, continuous.log_density(q.values, values, jnp.ones_like(values, bool)))
    return MaskedDraw(
        value=select(drawn, values),
        mask=drawn,
        mask_log_prob=kind.log_prob(q.logits, held),
        value_log_prob=densities if kind is BERNOULLI else jnp.sum(densities, axis=-1),
        kl=divergence(q, prior),
    )


def select_values(mask: Float[Array, "batch ..."], values: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
    """m * s, of the shape of the values; the mask of an off state selects none."""
    return mask[..., : values.shape[-1]] * values


def divergence(q: MaskedLaw, prior: MaskedLaw) -> Float[Array, "batch ..."]:
    """KL(q_m || p_m) + sum_k q_k KL(q_{s_k} || p_{s_k}), nats, `[batch, *places]`, analytic.

    Deterministic values of `q` are taken as given to both sides, so that the mask alone is the latent and costs.

    Raises:
      ValueError: the prior is of another kind or batch shape.
    """
    if type(q) is not type(prior):
        raise ValueError(f"prior is a {type(prior).__name__}; allowed: {type(q).__name__}, as is what it is a prior of")
    if q.batch_shape != prior.batch_shape:
        raise ValueError(f"prior has batch shape {prior.batch_shape}; allowed: {q.batch_shape}, that of q")
    if is_deterministic(q.values):
        prior = alike(q, prior.logits, q.values)
    return kl_divergence(q, prior)


def mask_kind(law: MaskedLaw) -> MaskKind:
    """The kind of the mask, as estimators ask for it."""
    return BERNOULLI if isinstance(law, BernoulliTimesContinuous) else CATEGORICAL


def is_deterministic(values: Distribution) -> bool:
    """Whether the values have scale 0."""
    return isinstance(values.base_dist if isinstance(values, dist.ExpandedDistribution) else values, dist.Delta)


def alike(law: MaskedLaw, logits: Float[Array, "..."], values: Distribution) -> MaskedLaw:
    """A distribution of the kind of `law`, of other logits and values."""
    if isinstance(law, BernoulliTimesContinuous):
        return BernoulliTimesContinuous(logits, values)
    return CategoricalTimesContinuous(logits, values, off=law.off)
