"""The evidence lower bound as a training loss. Tests: tests/objectives/test_elbo.py."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.models import Bound, Model, Params, Schedule
from ctc_jax.objectives.objective import AbstractObjective, Metrics
from ctc_jax.objectives.path import check_path, draws, path_bound
from ctc_jax.options import OptionError, option

STICKING = "sticking_the_landing"


@dataclass(frozen=True)
class Elbo(AbstractObjective):
    """Minus the one-sample ELBO, nats per image, averaged over the batch.

    Warm-up (Bowman et al. 2016) and free bits (Kingma et al. 2016) change the loss and never the metrics. Annealing the
    likelihood's masks replaces log p(x|z) by a lower bound on it, in the loss and in the training metrics: these stay
    bounds. The masks' inverse temperature rises geometrically. Evaluation knows none of the three.

    Sticking the landing (Roeder et al. 2017) estimates each KL by the draw, with the gradient along its path alone: at
    q(z|x) = p(z|x) it has no variance.
    """

    gradient: str = option(
        "total", "sticking_the_landing leaves out what is 0 in the mean", choices=("total", STICKING)
    )

    kl_warmup_steps: int = option(0, "steps over which the weight of the KL rises from 0 to 1; 0 is off", at_least=0)
    free_nats: float = option(0.0, "per layer: KL below this many nats per image is not penalized", at_least=0)
    mask_annealing_steps: int = option(
        0, "steps over which the masks' posterior is flattened ever less (likelihood ctc); 0 is off", at_least=0
    )
    mask_annealing_start: float = option(0.06, "its inverse temperature at the first step", above=0, at_most=1)
    # Below 1 where components are told apart long before: the steps are then spent where it matters.
    mask_annealing_end: float = option(1.0, "that at the last of these steps; it is 1 afterwards", above=0, at_most=1)

    def check(self) -> None:
        """The inverse temperature does not fall."""
        if self.mask_annealing_end < self.mask_annealing_start:
            allowed = f"from mask_annealing_start, {self.mask_annealing_start}, to 1"
            raise OptionError("mask_annealing_end", self.mask_annealing_end, allowed)

    def check_model(self, model: Model) -> None:
        """Latents have paths, and q scores any of them, where only these count."""
        if self.gradient == STICKING:
            check_path(model, "gradient", self.gradient)

    def __call__(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss, and metrics with their units in the names: in order of computation, so that the first bad one
        names the cause."""
        weight = jnp.minimum(1.0, step / self.kl_warmup_steps) if self.kl_warmup_steps else 1.0
        schedule = Schedule(step, weight, self._inverse_temperature(step))
        bound = self._bound(model, params, key, batch, schedule)
        log_likelihood = jnp.mean(bound.log_likelihood)
        kl = {name: jnp.mean(value) for name, value in bound.kl.items()}
        # An estimate of a KL may be negative: without free nats it counts as it is.
        charged = [jnp.maximum(value, self.free_nats) if self.free_nats else value for value in kl.values()]
        loss = weight * sum(charged, start=jnp.zeros(())) - log_likelihood
        elbo = log_likelihood - sum(kl.values(), start=jnp.zeros(()))
        metrics = {f"kl_nats/{name}": value for name, value in kl.items()}
        return loss, {**metrics, "log_likelihood_nats": log_likelihood, "elbo_nats": elbo, "loss_nats": loss}

    def _bound(self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, schedule: Schedule) -> Bound:
        if self.gradient != STICKING:
            return model.bound(params, key, batch, schedule=schedule)
        trace = model.infer(params, key, batch, schedule=schedule)
        return path_bound(model, params, batch, draws(trace), trace.joint, schedule)

    def _inverse_temperature(self, step: Int[Array, ""]) -> Float[Array, ""] | None:
        if not self.mask_annealing_steps:
            return None
        done = step / self.mask_annealing_steps
        rising = self.mask_annealing_start ** (1.0 - done) * self.mask_annealing_end**done
        return jnp.where(done < 1.0, rising, 1.0)
