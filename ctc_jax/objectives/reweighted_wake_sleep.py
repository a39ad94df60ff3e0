"""Reweighted wake-sleep (Bornschein and Bengio 2015, arXiv:1406.2751). Tests: test_reweighted_wake_sleep.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.gradients.surrogate import zero
from ctc_jax.models import Model, Params, Schedule
from ctc_jax.objectives.importance_weighted import importance_weighted_bound
from ctc_jax.objectives.objective import AbstractObjective, Metrics
from ctc_jax.objectives.path import check_scored, draws
from ctc_jax.options import option


@dataclass(frozen=True)
class ReweightedWakeSleep(AbstractObjective):
    """z_1, ..., z_K ~ q(z|x), each with its weight w_k, p(x, z_k) / q(z_k|x) over the sum of these, held as it is.

    p climbs sum_k w_k log p(x, z_k), whose gradient is that of the importance-weighted bound. q climbs
    sum_k w_k log q(z_k|x), and so descends KL(p(z|x) || q(z|x)) up to what K leaves (the wake phase), or log q(z|x) of
    z and x drawn from p (the sleep phase). Nothing goes through a draw: masks need no estimator, continuous latents no
    path. No single function has both gradients: the loss is minus the bound, and the surrogate's gradient is not its.
    """

    samples: int = option(5, "latents per image", at_least=2)
    sleep: float = option(0.0, "share of the sleep phase in what q learns", at_least=0, at_most=1)

    def check_model(self, model: Model) -> None:
        """q scores any latent."""
        check_scored(model, "name", "reweighted_wake_sleep")

    def __call__(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss, and metrics with their units in the names; `elbo_nats` is the mean log-weight."""
        schedule, held = Schedule(step), jax.lax.stop_gradient(params)

        def of_sample(key: Key[Array, ""]) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
            drawn = draws(model.infer(held, key, batch, schedule=schedule))
            trace = model.infer(params, None, batch, given=drawn, schedule=schedule)
            log_q = sum((site.log_q for site in trace.sites.values()), start=jnp.zeros(len(batch.image)))
            return trace.log_weight, log_q

        key_wake, key_sleep = jax.random.split(key)
        log_weights, log_q = jax.vmap(of_sample)(jax.random.split(key_wake, self.samples))
        weights = jax.nn.softmax(jax.lax.stop_gradient(log_weights), axis=0)
        # log w + log q is log p(x, z).
        learned = jnp.mean(jnp.sum(weights * (log_weights + (2.0 - self.sleep) * log_q), axis=0))
        if self.sleep:
            learned += self.sleep * jnp.mean(self._dreamt(model, params, key_sleep, batch, schedule))
        bound = jnp.mean(importance_weighted_bound(log_weights.T))
        loss = zero(-learned) - jax.lax.stop_gradient(bound)
        return loss, {"elbo_nats": jnp.mean(log_weights), "importance_bound_nats": bound, "loss_nats": loss}

    def _dreamt(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, schedule: Schedule
    ) -> Float[Array, " batch"]:
        """log q(z|x) of latents and images drawn from p."""
        key_latents, key_pixels = jax.random.split(key)
        latents, pixels = jax.lax.stop_gradient(model.generate(params, key_latents, len(batch.image)))
        dream = batch._replace(image=pixels.sample(key_pixels))
        trace = model.infer(params, None, dream, given=latents, schedule=schedule)
        return sum((site.log_q for site in trace.sites.values()), start=jnp.zeros(len(batch.image)))
