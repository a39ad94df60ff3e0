"""Learning from latents that were inferred (Rao and Ballard 1999; Zahid et al. 2023, arXiv:2311.13664).

Tests: test_predictive_coding.py.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.models import Masked, Model, Params, Schedule
from ctc_jax.objectives.objective import AbstractObjective, Metrics
from ctc_jax.objectives.path import check_scored, draws
from ctc_jax.options import OptionError, option

# Values of the latents by name, of the whole batch.
Position = dict[str, Array]

DECAY, FLOOR = 0.99, 1e-8  # of the second moment of a gradient, and the least root of it


@dataclass(frozen=True)
class PredictiveCoding(AbstractObjective):
    """From a draw of q(z|x), steps on log p(x, z) infer the latents of each image; p learns log p(x, z) there, and q
    learns to say these latents at once, by log q(z|x). No gradient goes through a step.

    With Langevin dynamics the latents are draws of p(z|x), up to what step size and steps leave, and p learns log p(x)
    by Fisher's identity. Descent ends at a mode: log p(x, z) there is a density of z, no bound on log p(x), and q,
    which is shown nothing but modes, becomes too narrow. The loss is no bound; `elbo_nats` is that of the first draw.
    """

    method: str = option("langevin", "descent adds no noise and ends at a mode", choices=("langevin", "descent"))
    steps: int = option(20, "of the latents, all together", at_least=1)
    step_size: float = option(0.05, "in units of the latents squared; of the latents where preconditioned", above=0)
    preconditioned: bool = option(True, "whether each number's gradient is divided by its root mean square (RMSprop)")
    unroll: bool = option(True, "whether each step is compiled on its own: as convolutions on CPUs need")

    def check_model(self, model: Model) -> None:
        """There are latents, all without masks, and q scores them."""
        name = "predictive_coding"
        if model.mask_sites:
            masked = ", ".join(site.name for site in model.mask_sites)
            raise OptionError("name", name, f"one that moves no values: {masked} has masks")
        if fixed := set(model.latents) - check_scored(model, "name", name):
            raise OptionError("name", name, f"one that infers nothing: {', '.join(sorted(fixed))} comes with the image")

    def __call__(
        self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """The loss, and metrics with their units in the names: log p(x, z) of the inferred latents beside that of the
        draw where they started, and the ELBO there."""
        schedule, held = Schedule(step), jax.lax.stop_gradient(params)
        key_start, key_moves = jax.random.split(key)
        start = model.infer(held, key_start, batch, schedule=schedule)
        values = {name: latent.value for name, latent in draws(start).items()}
        found = {name: Masked(value) for name, value in self.inferred(model, held, key_moves, batch, values).items()}
        trace = model.infer(params, None, batch, given=jax.lax.stop_gradient(found), schedule=schedule)
        log_q = sum((site.log_q for site in trace.sites.values()), start=jnp.zeros(len(batch.image)))
        log_joint = trace.log_weight + log_q
        loss = -jnp.mean(log_joint + log_q)
        started = start.log_weight + sum(site.log_q for site in start.sites.values())
        metrics = {"elbo_nats": jnp.mean(start.log_weight), "start_log_joint_nats": jnp.mean(started)}
        return loss, {**metrics, "log_joint_nats": jnp.mean(log_joint), "loss_nats": loss}

    def inferred(self, model: Model, params: Params, key: Key[Array, ""], batch: Batch, start: Position) -> Position:
        """Values of the latents after all steps."""

        def log_joint(position: Position) -> Float[Array, ""]:
            return jnp.sum(model.joint(params, batch, {name: Masked(value) for name, value in position.items()}).total)

        slope_at = jax.grad(log_joint)
        leaves, structure = jax.tree.flatten(start)

        def move(carry: tuple[Position, Position], key: Key[Array, ""]) -> tuple[Any, None]:
            position, square = carry
            slope = slope_at(position)
            square = jax.tree.map(lambda old, new: DECAY * old + (1.0 - DECAY) * new**2, square, slope)

            def moved(value, slope, square, key):
                size = self.step_size / (jnp.sqrt(square) + FLOOR) if self.preconditioned else self.step_size
                noise = jnp.sqrt(2.0 * size) * jax.random.normal(key, value.shape) if self.method == "langevin" else 0.0
                return value + size * slope + noise

            keys = jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))
            return (jax.tree.map(moved, position, slope, square, keys), square), None

        squares = jax.tree.map(lambda slope: slope**2, slope_at(start))
        keys = jax.random.split(key, self.steps)
        return jax.lax.scan(move, (start, squares), keys, unroll=self.unroll)[0][0]
