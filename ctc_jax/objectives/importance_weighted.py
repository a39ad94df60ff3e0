"""The importance-weighted bound (Burda et al. 2016), and as a training loss. Tests: test_importance_weighted.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.gradients import vimco
from ctc_jax.gradients.surrogate import zero
from ctc_jax.models import Latents, Model, Params, Schedule
from ctc_jax.objectives.objective import AbstractObjective, Metrics
from ctc_jax.objectives.path import check_path, draws, path_bound
from ctc_jax.options import option

STICKING, DOUBLY = "sticking_the_landing", "doubly_reparameterized"


@dataclass(frozen=True)
class ImportanceWeighted(AbstractObjective):
    """Minus log mean_k p(x, z_k) / q(z_k | x), nats per image, averaged over the batch.

    The gradient is pathwise in continuous latents; through masks it is VIMCO's (Mnih and Rezende 2016), whatever
    estimator the model has: estimators are of the expectation of a reward, which this bound is not.

    With w_k the weights over their sum, the total gradient of q drowns in noise as K grows, for its mean falls with
    1/K and its spread with 1/sqrt(K) (Rainforth et al. 2018, arXiv:1802.04537). Doubly reparameterized (Tucker et al.
    2019, arXiv:1810.04152), what reaches q through z_k is weighed by w_k^2 and all else of log q is left out: the same
    mean, and a signal that grows with K. Sticking the landing leaves it out and weighs by w_k: biased for K above 1.
    """

    samples: int = option(5, "latents per image; with 1 this bound is objective.name=elbo", at_least=2)
    gradient: str = option("total", "of q: doubly_reparameterized has less noise", choices=("total", DOUBLY, STICKING))

    def check_model(self, model: Model) -> None:
        """Latents have paths, and q scores any of them, where only these count."""
        if self.gradient != "total":
            check_path(model, "gradient", self.gradient)

    def __call__(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss, and metrics with their units in the names; `elbo_nats` is the mean log-weight."""
        masked, schedule = [site.name for site in model.mask_sites], Schedule(step)

        def of_sample(key: Key[Array, ""]):
            trace = model.infer(params, key, batch, schedule=schedule)
            log_masks = [trace.sites[name].log_mask for name in masked]
            drawn = draws(trace), trace.latents
            return trace.log_weight, sum(log_masks, start=jnp.zeros(len(batch.image))), drawn

        log_weights, log_masks, drawn = jax.vmap(of_sample)(jax.random.split(key, self.samples))
        if masked:
            bound = vimco(log_weights, log_masks).surrogate
        elif self.gradient == "total":
            bound = importance_weighted_bound(log_weights.T)
        else:
            bound = self._along_paths(model, params, batch, schedule, jax.lax.stop_gradient(log_weights), *drawn)
        loss = -jnp.mean(bound)
        metrics = {"elbo_nats": jnp.mean(log_weights), "importance_bound_nats": -loss, "loss_nats": loss}
        return loss, metrics

    def _along_paths(
        self,
        model: Model,
        params: Params,
        batch: Batch,
        schedule: Schedule,
        log_weights: Float[Array, "samples batch"],
        drawn: Latents,
        latents: Latents,
    ) -> Float[Array, " batch"]:
        weights = jax.nn.softmax(log_weights, axis=0)
        if self.gradient == DOUBLY:
            drawn = jax.tree.map(lambda value: _attenuated(value, _alike(weights, value)), drawn)

        def of_sample(drawn: Latents, latents: Latents) -> Float[Array, " batch"]:
            joint = model.joint(params, batch, {**latents, **drawn})
            parts = path_bound(model, params, batch, drawn, joint, schedule)
            return parts.log_likelihood - sum(parts.kl.values())

        surrogate = jnp.sum(weights * jax.vmap(of_sample)(drawn, latents), axis=0)
        return importance_weighted_bound(log_weights.T) + zero(surrogate)


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


@jax.custom_vjp
def _attenuated(value: Float[Array, "*shape"], factor: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The value, whose gradient is multiplied by the factor."""
    del factor
    return value


_attenuated.defvjp(
    lambda value, factor: (value, factor), lambda factor, gradient: (factor * gradient, jnp.zeros_like(factor))
)


def _alike(weights: Float[Array, "samples batch"], value: Float[Array, "samples batch ..."]) -> Float[Array, "..."]:
    return jnp.broadcast_to(weights.reshape(*weights.shape, *(1,) * (value.ndim - 2)), value.shape)
