"""The importance-weighted bound (Burda et al. 2016), and as a training loss. Tests: test_importance_weighted.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.gradients import vimco
from ctc_jax.models import Model, Params, Schedule
from ctc_jax.objectives.elbo import Metrics
from ctc_jax.options import Options, option


@dataclass(frozen=True)
class ImportanceWeighted(Options):
    """Minus log mean_k p(x, z_k) / q(z_k | x), nats per image, averaged over the batch.

    The gradient is pathwise in continuous latents; through masks it is VIMCO's (Mnih and Rezende 2016), whatever
    estimator the model has: estimators are of the expectation of a reward, which this bound is not.
    """

    samples: int = option(5, "latents per image; with 1 this bound is objective.name=elbo", at_least=2)

    def __call__(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss, and metrics with their units in the names; `elbo_nats` is the mean log-weight."""
        masked = [site.name for site in model.mask_sites]

        def of_sample(key: Key[Array, ""]) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
            trace = model.infer(params, key, batch, schedule=Schedule(step))
            log_masks = [trace.sites[name].log_mask for name in masked]
            return trace.log_weight, sum(log_masks, start=jnp.zeros(len(batch.image)))

        log_weights, log_masks = jax.vmap(of_sample)(jax.random.split(key, self.samples))
        bound = vimco(log_weights, log_masks).surrogate if masked else importance_weighted_bound(log_weights.T)
        loss = -jnp.mean(bound)
        metrics = {"elbo_nats": jnp.mean(log_weights), "importance_bound_nats": -loss, "loss_nats": loss}
        return loss, metrics


def log_weights(
    model: Model, params: Params, keys: Key[Array, "batch samples"], batch: Batch
) -> Float[Array, "batch samples"]:
    """log p(x, z) - log q(z|x) in nats at z ~ q(z|x), one for each key.

    Each image has its own keys, so a value depends neither on the batch it is in nor on the devices. What the
    recognition network computes from the image alone is computed once for all samples.

    Args:
      model: any model.
      params: its parameters.
      keys: one for each image and sample.
      batch: images and labels.
    """

    def of_image(keys: Key[Array, " samples"], one: Batch) -> Float[Array, " samples"]:
        single = jax.tree.map(lambda leaf: leaf[None], one)
        return jax.vmap(lambda key: jnp.squeeze(model.infer(params, key, single).log_weight, 0))(keys)

    return jax.vmap(of_image)(keys, batch)


def importance_weighted_bound(log_weights: Float[Array, "*batch samples"]) -> Float[Array, "*batch"]:
    """log of the mean weight: log mean_k p(x, z_k) / q(z_k | x), nats per image."""
    return jax.nn.logsumexp(log_weights, axis=-1) - jnp.log(log_weights.shape[-1])
