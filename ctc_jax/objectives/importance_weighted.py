"""The importance-weighted bound as a training loss. Tests: tests/objectives/test_importance_weighted.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.gradients import vimco
from ctc_jax.models import Model, Params
from ctc_jax.objectives.elbo import Metrics
from ctc_jax.objectives.importance import importance_weighted_bound


@dataclass(frozen=True)
class ImportanceWeighted:
    """Minus log mean_k p(x, z_k) / q(z_k | x), nats per image, averaged over the batch (Burda et al. 2016).

    The gradient is pathwise in continuous latents; through masks it is VIMCO's (Mnih and Rezende 2016), whatever
    estimator the model has: estimators are of the expectation of a reward, which this bound is not.

    Attributes:
      samples: latents an image, at least 2.
    """

    samples: int

    def __call__(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss, and metrics with their units in the names; `elbo_nats` is the mean log-weight."""

        def of_sample(key: Key[Array, ""]) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
            if model.mask_kinds:
                latents, log_q, log_masks = model.recognize_masks(params, key, batch, step)
            else:
                latents, log_q = model.recognize(params, key, batch)
                log_masks = jnp.zeros_like(log_q)
            return model.log_joint(params, batch, latents) - log_q, log_masks

        log_weights, log_masks = jax.vmap(of_sample)(jax.random.split(key, self.samples))
        if model.mask_kinds:
            bound = vimco(log_weights, log_masks).surrogate
        else:
            bound = importance_weighted_bound(log_weights.T)
        loss = -jnp.mean(bound)
        metrics = {"elbo_nats": jnp.mean(log_weights), "importance_bound_nats": -loss, "loss_nats": loss}
        return loss, metrics
