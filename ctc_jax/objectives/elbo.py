"""The evidence lower bound as a training loss. Tests: tests/objectives/test_elbo.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.models import Model, Params

Metrics = dict[str, jax.Array]


@dataclass(frozen=True)
class Elbo:
    """Minus the one-sample ELBO, nats per image, averaged over the batch.

    Warm-up (Bowman et al. 2016) and free bits (Kingma et al. 2016) change the loss and never the metrics. Annealing the
    likelihood's masks replaces log p(x|z) by a lower bound on it, in the loss and in the training metrics: these stay
    bounds. Evaluation knows none of the three.

    Attributes:
      kl_warmup_steps: steps over which the weight of the KL rises linearly from 0 to 1; 0 is off.
      free_nats: per layer, the batch-mean KL below this is not penalized; 0 is off.
      mask_annealing_steps: steps over which the masks' inverse temperature rises geometrically, to be 1 from then on;
        0 is off.
      mask_annealing_start: the inverse temperature at the first step.
      mask_annealing_end: that at the last of these steps. Below 1 where components are told apart long before: the
        steps are then spent where it matters.
    """

    kl_warmup_steps: int = 0
    free_nats: float = 0.0
    mask_annealing_steps: int = 0
    mask_annealing_start: float = 0.06
    mask_annealing_end: float = 1.0

    def __call__(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss, and metrics with their units in the names: in order of computation, so that the first bad one
        names the cause."""
        weight = jnp.minimum(1.0, step / self.kl_warmup_steps) if self.kl_warmup_steps else 1.0
        terms = model.elbo_terms(params, key, batch, self._inverse_temperature(step), step, weight)
        log_likelihood = jnp.mean(terms.log_likelihood)
        kl = {name: jnp.mean(value) for name, value in terms.kl.items()}
        # An estimate of a KL may be negative: without free nats it counts as it is.
        charged = [jnp.maximum(value, self.free_nats) if self.free_nats else value for value in kl.values()]
        penalty = sum(charged, start=jnp.zeros(()))
        loss = weight * penalty - log_likelihood
        elbo = log_likelihood - sum(kl.values(), start=jnp.zeros(()))
        metrics = {f"kl_nats/{name}": value for name, value in kl.items()}
        return loss, {**metrics, "log_likelihood_nats": log_likelihood, "elbo_nats": elbo, "loss_nats": loss}

    def _inverse_temperature(self, step: Int[Array, ""]) -> Float[Array, ""] | None:
        if not self.mask_annealing_steps:
            return None
        done = step / self.mask_annealing_steps
        rising = self.mask_annealing_start ** (1.0 - done) * self.mask_annealing_end**done
        return jnp.where(done < 1.0, rising, 1.0)
