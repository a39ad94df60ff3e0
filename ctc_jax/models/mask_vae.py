"""VAE whose latents are masks, alone or times Gaussian values. Tests: tests/models/test_mask_vae.py."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.gradients import BERNOULLI, MaskSite, SparseReward
from ctc_jax.layers.som_pooling import SOMPooling
from ctc_jax.models.mask_law import MaskLaw
from ctc_jax.models.mask_network import MaskNetwork
from ctc_jax.models.model import ElboTerms, Latents, Params, pixel_log_prob


@dataclass(frozen=True)
class MaskVAE:
    """One layer of independent masks: z = m, or z = m * s; every KL is analytic in the masks' probabilities.

    The gradient of E log p(x|z) is pathwise in the values and the estimator's in the mask logits. The estimator's
    reward is log p(x|z) as a function of the masks; all values are drawn once and shared by the masks it draws.

    With `pooling`, q(z|x) has the masks G p and values G s of a self-organizing map in place of p and s, and so has its
    KL; the prior and the decoder know nothing of it, so that p(x, z) is the same model at every sigma. Outside of
    training sigma is that at the end of its schedule.

    Attributes:
      network: encoder, prior and decoder.
      image_shape: height, width, channels.
      pooling: of q's alternatives with their neighbors, or None.
      signed: whether the decoder sees 2 m - 1 in place of the latent m.
      estimator: the gradient through the masks, bound to its options; None leaves them without one.
    """

    network: MaskNetwork
    image_shape: tuple[int, int, int]
    pooling: SOMPooling | None = None
    signed: bool = False
    estimator: Callable | None = None
    mask_levels: int = 1
    mask_linear: bool = True
    mask_kl: bool = False

    @property
    def mask_kinds(self) -> frozenset[str]:
        """The one kind of its masks."""
        return frozenset(self.mask_latents.values())

    @property
    def mask_latents(self) -> dict[str, str]:
        """Its one latent, and the kind of its masks."""
        return {"z": self.network.latent.kind.name}

    @property
    def mask_sizes(self) -> dict[str, tuple[int, int]]:
        """Places of its one latent, and alternatives at each."""
        latent = self.network.latent
        return {"z": (latent.places, 2 if latent.kind is BERNOULLI else latent.categories)}

    @property
    def mask_values(self) -> bool:
        """Whether its masks multiply values."""
        return self.network.latent.valued

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """Its one latent."""
        latent = self.network.latent
        return (MaskSite("z", latent.kind, latent.shape, latent.valued, linear=True),)

    def init(self, key: Key[Array, ""]) -> Params:
        """Fresh parameters, float32; those that an estimator learns under "estimator"."""
        params = self.network.init(key, jnp.zeros((1, *self.image_shape), jnp.int32))["params"]
        if self.estimator is None:
            return params
        height, width, channels = self.image_shape
        key = jax.random.fold_in(key, 1)
        learned = self.estimator.init(key, self.network.latent.shape, height * width * channels)
        return {**params, "estimator": learned} if learned else params

    def recognize(self, params: Params, key: Key[Array, ""], batch: Batch) -> tuple[Latents, Float[Array, " batch"]]:
        """z ~ q(z|x) at sampled masks, and log q(z|x) of masks and selected values."""
        return self.recognize_masks(params, key, batch)[:2]

    def recognize_masks(
        self, params: Params, key: Key[Array, ""], batch: Batch, step: Array | None = None
    ) -> tuple[Latents, Float[Array, " batch"], Float[Array, " batch"]]:
        """As `recognize`; beside it log q(m|x) of the masks, for the gradient through them."""
        posterior = self._posterior(params, batch, step)
        latent = posterior.sample(key)
        return {"z": latent}, posterior.log_prob(latent), posterior.mask_log_prob(latent)

    def log_joint(self, params: Params, batch: Batch, latents: Latents) -> Float[Array, " batch"]:
        """log p(x|z) + log p(z)."""
        log_prior = self._prior(params, len(batch.image)).log_prob(self._shaped(latents))
        return self.decode(params, latents).log_prob(batch.image) + log_prior

    def generate(self, params: Params, key: Key[Array, ""], count: int) -> tuple[Latents, dist.Distribution]:
        """`count` codes from the prior and their distributions on pixels."""
        latents = {"z": self._prior(params, count).sample(key)}
        return latents, self.decode(params, latents)

    def decode(self, params: Params, latents: Latents) -> dist.Distribution:
        """p(x|z); codes may also be flat."""
        weights, bias = self._first_layer(params)
        return self._rest(params, latents["z"].reshape(len(latents["z"]), -1) @ weights + bias[None])

    def elbo_terms(
        self,
        params: Params,
        key: Key[Array, ""],
        batch: Batch,
        mask_annealing: Array | None = None,
        step: Array | None = None,
        kl_weight: Array | float = 1.0,
    ) -> ElboTerms:
        """The estimator's surrogate of E log p(x|z), and the KL in closed form."""
        del kl_weight  # the KL depends on no mask drawn
        posterior = self._posterior(params, batch, step)
        kl = posterior.kl(self._prior(params, len(batch.image)))
        mask_key, value_key = jax.random.split(key)
        weights, bias = self._first_layer(params)

        def log_likelihood(hidden: Float[Array, "batch hidden"]) -> Float[Array, " batch"]:
            return pixel_log_prob(self._rest(params, hidden + bias[None]), batch.image, mask_annealing)

        reward = SparseReward(posterior.draw_values(value_key), weights, log_likelihood)
        if self.estimator is None:
            return ElboTerms(reward(posterior.kind.sample(mask_key, posterior.logits)[0]), {"z": kl})
        estimate = self.estimator(
            mask_key,
            posterior.logits,
            reward,
            kind=posterior.kind,
            params=params.get("estimator", {}),
            context=self._inputs(params, batch),
            step=step,
        )
        return ElboTerms(estimate.surrogate, {"z": kl})

    def mask_probs(
        self, params: Params, key: Key[Array, ""], batch: Batch
    ) -> dict[str, Float[Array, "batch places alternatives"]]:
        """q(m|x), which depends on nothing drawn."""
        del key
        return {"z": self._posterior(params, batch).alternatives()}

    def mask_price(self, params: Params, key: Key[Array, ""], batch: Batch) -> dict[str, Float[Array, " batch"]]:
        """KL(q(m|x) || p(m)), which depends on nothing drawn."""
        del key
        return {"z": self._posterior(params, batch).masks.kl(self._prior(params, len(batch.image)).masks)}

    def posterior_means(self, params: Params, batch: Batch) -> dict[str, Float[Array, "batch units"]]:
        """E_q[z|x]: the masks' probabilities, times the values' means."""
        return {"z": self._posterior(params, batch).mean.reshape(len(batch.image), -1)}

    def _shaped(self, latents: Latents) -> Float[Array, "batch ..."]:
        return latents["z"].reshape(-1, *self.network.latent.shape)

    def _first_layer(self, params: Params) -> tuple[Float[Array, "entries hidden"], Float[Array, " hidden"]]:
        """Weights and bias on the latent as it is: (2 m - 1) W + b = m (2 W) + (b - sum of W's rows)."""
        weights, bias = params["first"]["kernel"], params["first"]["bias"]
        return (2.0 * weights, bias - jnp.sum(weights, axis=0)) if self.signed else (weights, bias)

    def _inputs(self, params: Params, batch: Batch) -> Float[Array, "batch pixels"]:
        return self.network.apply({"params": params}, batch.image, method="inputs")

    def _posterior(self, params: Params, batch: Batch, step: Array | None = None) -> MaskLaw:
        law = self.network.apply({"params": params}, self._inputs(params, batch), method="encode")
        return law if self.pooling is None else law.pooled(self.pooling, step)

    def _prior(self, params: Params, count: int) -> MaskLaw:
        return self.network.apply({"params": params}, count, method="prior")

    def _rest(self, params: Params, hidden: Float[Array, "batch hidden"]) -> dist.Distribution:
        return self.network.apply({"params": params}, hidden, method="rest")
