"""The law of a latent made of masks, alone or times Gaussian values. Tests: tests/models/test_mask_law.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, Key

from ctc_jax.distributions import BernoulliTimesContinuous, CategoricalTimesContinuous
from ctc_jax.distributions.mask_kind import total
from ctc_jax.gradients import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.layers.som_pooling import SOMPooling


@dataclass(frozen=True)
class MaskShape:
    """What kind of latent it is, and how many.

    Attributes:
      kind: BERNOULLI for gates, CATEGORICAL for one-hot masks.
      places: number of masks.
      categories: K of a categorical mask; not looked at for gates.
      valued: whether a mask multiplies Gaussian values, one for each alternative.
    """

    kind: MaskKind
    places: int
    categories: int
    valued: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example's latent: places, and alternatives if the masks are categorical."""
        return (self.places,) if self.kind is BERNOULLI else (self.places, self.categories)

    @property
    def entries(self) -> int:
        """Numbers in one example's latent."""
        return self.places * (1 if self.kind is BERNOULLI else self.categories)

    @property
    def parameters(self) -> int:
        """Numbers that a law takes: logits, and a location and a log scale for each value."""
        return self.entries * (3 if self.valued else 1)

    def law(self, parameters: Float[Array, "batch parameters"]) -> "MaskLaw":
        """Logits and, if values belong to it, their locations and log scales; all 0 is uniform masks times N(0, 1)."""
        parts = jnp.split(parameters, 3 if self.valued else 1, axis=-1)
        logits, *moments = (part.reshape(-1, *self.shape) for part in parts)
        if not self.valued:
            return MaskLaw(self.kind, logits, None)
        loc, log_scale = moments
        # exp(-8) of the prior's width is 11 bits a value beyond any use; above exp(4) only an exploding run goes.
        return MaskLaw(self.kind, logits, dist.Normal(loc, jnp.exp(jnp.clip(log_scale, -8.0, 4.0))))


@dataclass(frozen=True)
class MaskLaw:
    """Independent places: z = m, or z = m * s with s Gaussian.

    With values, the reference measure is that of `CategoricalTimesContinuous` and `BernoulliTimesContinuous`: values
    that the mask does not select integrate out.

    Attributes:
      kind: of the masks.
      logits: `[batch, places]` for gates, `[batch, places, categories]` for one-hot masks.
      values: Gaussians of the same shape, or None.
    """

    kind: MaskKind
    logits: Float[Array, "batch ..."]
    values: dist.Normal | None

    def draw_values(self, key: Key[Array, ""]) -> Float[Array, "batch ..."]:
        """Every value, selected or not, reparameterized; ones where the latent is a mask alone."""
        if self.values is None:
            return jnp.ones_like(self.logits)
        values = self.values.sample(key)
        # A latent tells its mask by what is not 0: of a value that rounds to 0, the nearest number that is not.
        return jnp.where(values == 0, jnp.finfo(values.dtype).tiny, values)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch ..."]:
        """Latents at sampled masks; gradients flow to the values alone."""
        mask_key, value_key = jax.random.split(key)
        mask = self.kind.sample(mask_key, self.logits)[0]
        return mask * self.draw_values(value_key)

    def log_prob(self, latent: Float[Array, "batch ..."]) -> Float[Array, " batch"]:
        """Of masks and selected values, nats."""
        if self.values is None:
            return self.kind.total_log_prob(self.logits, latent)
        return jnp.sum(self._ctc.log_prob(latent), axis=-1)

    def mask_log_prob(self, latent: Float[Array, "batch ..."]) -> Float[Array, " batch"]:
        """Of the masks alone, nats."""
        return self.kind.total_log_prob(self.logits, (latent != 0).astype(self.logits.dtype))

    def log_prob_of(self, mask: Float[Array, "batch ..."], values: Float[Array, "batch ..."]) -> Float[Array, " batch"]:
        """Of a mask, and of the values it selects, nats; differentiable in both.

        Of a relaxed mask, which has no probability, the interpolation sum_k m_k (log q_k + log f_k(s_k)).
        """
        of_masks = self.kind.total_log_prob(self.logits, mask)
        return of_masks if self.values is None else of_masks + total(mask * self.values.log_prob(values))

    def negative_entropy(self) -> Float[Array, " batch"]:
        """E log q, nats: of the masks, and of the values that these select."""
        probs = self.kind.probs(self.logits)
        # log q is linear in the mask, so its mean is that at the mean mask.
        of_masks = self.kind.total_log_prob(self.logits, probs)
        return of_masks if self.values is None else of_masks - total(probs * self.values.entropy())

    def kl(self, prior: "MaskLaw") -> Float[Array, " batch"]:
        """KL(self || prior), nats: KL(q_m || p_m) + sum_k q_k KL(q_{s_k} || p_{s_k}), exact."""
        if self.values is not None:
            return jnp.sum(dist.kl_divergence(self._ctc, prior._ctc), axis=-1)
        if self.kind is CATEGORICAL:
            log_q, log_p = (jax.nn.log_softmax(law.logits) for law in (self, prior))
            return jnp.sum(jnp.exp(log_q) * (log_q - log_p), axis=(1, 2))
        by_open, by_closed = (
            jax.nn.log_sigmoid(sign * self.logits) - jax.nn.log_sigmoid(sign * prior.logits) for sign in (1.0, -1.0)
        )
        probs = self.kind.probs(self.logits)
        return jnp.sum(probs * by_open + (1.0 - probs) * by_closed, axis=1)

    @property
    def masks(self) -> "MaskLaw":
        """The law of the masks alone."""
        return MaskLaw(self.kind, self.logits, None)

    def alternatives(self) -> Float[Array, "batch places alternatives"]:
        """Probabilities of a mask's alternatives; of a gate, on and off."""
        probs = self.kind.probs(self.logits)
        return jnp.stack([probs, 1.0 - probs], axis=-1) if self.kind is BERNOULLI else probs

    @property
    def mean(self) -> Float[Array, "batch ..."]:
        """E[z]: probabilities, times the values' means."""
        probs = self.kind.probs(self.logits)
        return probs if self.values is None else probs * self.values.mean

    def pooled(self, pooling: SOMPooling, step: Int[Array, ""] | None) -> "MaskLaw":
        """The law of one-hot masks whose probabilities are G p, and of the values G s that they select.

        The values G s of independent Gaussians are correlated, but z shows one of them: given the mask, its law is its
        marginal N((G loc)_k, sum_j G_kj^2 scale_j^2). So this is a law like any other, for samples, log q and KL.
        """
        if self.values is None:
            logits, _ = pooling(self.logits, jnp.zeros_like(self.logits), step)
            return MaskLaw(self.kind, logits, None)
        law = pooling.distribution(self._ctc, step)
        return MaskLaw(self.kind, law.logits, law.values)

    @property
    def _ctc(self) -> dist.Distribution:
        """Batch shape `[batch, places]`."""
        made = BernoulliTimesContinuous if self.kind is BERNOULLI else CategoricalTimesContinuous
        return made(self.logits, self.values)
