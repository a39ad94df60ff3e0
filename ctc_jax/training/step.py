"""State and step of training: batches in, new state and metrics out. Tests: tests/training/test_step.py."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from ctc_jax.data import Batch
from ctc_jax.models import Model, Params
from ctc_jax.objectives import Metrics
from ctc_jax.training import moving_averages
from ctc_jax.training.skipping import Skipping

Objective = Callable[..., tuple[jax.Array, Metrics]]

# A second bad step in a row is no accident of one batch: training stops.
MAXIMUM_BAD_STEPS = 2

# Metrics that are not finite because another one is not; jit returns a dictionary sorted, so order is said here.
EFFECTS = ("elbo_nats", "loss_nats", "gradient_norm")


class Average(NamedTuple):
    """An exponential moving average of the parameters after each update, in which their initial values have no part.

    With decay d the parameters p_i after update i weigh (1 - d) d^(t - i) / (1 - d^t) after t updates, which sums to 1
    over i = 1..t: the bias correction of Adam (Kingma and Ba 2015, section 3). Before the first update it holds the
    initial parameters.

    Attributes:
      updates: t, int32 scalar.
      params: the average, of the shape of the parameters.
    """

    updates: Any
    params: Params


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["step", "params", "average", "optimizer", "bad_steps", "level"],
    meta_fields=[],
)
@dataclass(frozen=True)
class TrainState:
    """All that a run is, besides its config.

    A pytree, whose leaves JAX also fills with shapes or shardings: hence no array types here.

    Attributes:
      step: steps done, int32 scalar.
      params: parameters, float32.
      average: an `Average` of them; an empty tuple when there is none.
      optimizer: state of the optax transformation.
      bad_steps: steps in a row, up to now, that gave a number that is not finite, int32 scalar.
      level: a `GradientLevel`; an empty tuple where no step is skipped.
    """

    step: Any
    params: Params
    average: Any
    optimizer: optax.OptState
    bad_steps: Any
    level: Any = ()

    @property
    def evaluated(self) -> Params:
        """The parameters to evaluate: the average where there is one."""
        return self.average.params if isinstance(self.average, Average) else self.params


@dataclass(frozen=True)
class TrainStep:
    """`(state, batch [steps, batch, ...]) -> (state, metrics [steps])`, a pure function to be jit-compiled.

    A step is a function of (seed, step, state, batch). One whose metrics are not all finite leaves the parameters,
    the average and the optimizer as they were; after two such steps in a row the state stays as it is. One that is
    skipped leaves these as they were, too, but is no bad step.

    Attributes:
      model: any model.
      objective: `(model, params, key, batch, step) -> (loss, metrics)`.
      optimizer: optax transformation.
      seed: of the keys.
      ema_decay: of the averaged parameters; 0 for none.
      accumulate: batches an update takes, so that the average moves once an update.
      skipping: which steps are skipped for their gradient; None for none.
    """

    model: Model
    objective: Objective
    optimizer: optax.GradientTransformation
    seed: int
    ema_decay: float = 0.0
    accumulate: int = 1
    skipping: Skipping | None = None

    def init(self) -> TrainState:
        """The state before the first step."""
        params = self.model.init(jax.random.key(self.seed))
        return TrainState(
            # Arrays of a stated type: a Python int here would compile the step a second time.
            step=jnp.zeros((), jnp.int32),
            params=params,
            average=Average(jnp.zeros((), jnp.int32), jax.tree.map(jnp.copy, params)) if self.ema_decay else (),
            optimizer=self.optimizer.init(params),
            bad_steps=jnp.zeros((), jnp.int32),
            level=self.skipping.init() if self.skipping else (),
        )

    def __call__(self, state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
        """As many steps as `batches` holds."""
        if len(batches.label) == 1:  # XLA's CPU backend runs convolutions slowly inside a scan
            state, metrics = self._one(state, jax.tree.map(lambda leaf: leaf[0], batches))
            return state, jax.tree.map(lambda value: value[None], metrics)
        return jax.lax.scan(self._one, state, batches)

    def _one(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(self.seed), state.step)
        loss = partial(self.objective, self.model, key=key, batch=batch, step=state.step)
        (_, metrics), gradient = jax.value_and_grad(lambda params: loss(params=params), has_aux=True)(state.params)
        norm = optax.tree.norm(moving_averages.without(gradient))
        metrics = {**metrics, "gradient_norm": norm}
        skip: Any = False
        level: Any = ()
        if self.skipping:
            skip, level = self.skipping(state.level, norm)
            metrics["skipped_share"] = skip.astype(jnp.float32)
        updates, optimizer = self.optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        average = self._average(state, params, optimizer)
        stopped = state.bad_steps >= MAXIMUM_BAD_STEPS
        good = jnp.all(jnp.stack([jnp.isfinite(value) for value in metrics.values()])) & ~stopped
        params, average, optimizer = _select(
            good & ~jnp.asarray(skip), (params, average, optimizer), (state.params, state.average, state.optimizer)
        )
        return TrainState(
            jnp.where(stopped, state.step, state.step + 1),
            params,
            average,
            optimizer,
            jnp.where(good, 0, jnp.where(stopped, state.bad_steps, state.bad_steps + 1)),
            _select(good, level, state.level),
        ), metrics

    def _average(self, state: TrainState, params: Params, optimizer: optax.OptState) -> Average | tuple[()]:
        if not self.ema_decay:
            return ()
        updates = state.average.updates + 1
        rate = newest_weight(self.ema_decay, updates)
        moved = Average(updates, optax.incremental_update(params, state.average.params, rate))
        if self.accumulate == 1:
            return moved
        # `accumulate` batches were taken, bad ones not counted, when optax starts its count again.
        return _select(optimizer.mini_step == 0, moved, state.average)


def newest_weight(decay: float, updates: Int[Array, ""]) -> Float[Array, ""]:
    """(1 - d) / (1 - d^t), the weight of the newest of t = `updates` parameters in their average.

    The denominator as -expm1(t log d): where d is close to 1, float32 would round most of 1 - d^t away.
    """
    return (1.0 - decay) / -jnp.expm1(updates * math.log(decay))


def _select(condition: Bool[Array, ""], yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def first_bad(metrics: dict[str, np.ndarray]) -> tuple[int, str] | None:
    """Position and name of the first metric [steps] that is not finite, causes before effects; None if all are."""
    names = sorted(metrics, key=lambda name: (name in EFFECTS, EFFECTS.index(name) if name in EFFECTS else 0, name))
    for position in range(len(metrics[names[0]])):
        for name in names:
            if not np.isfinite(metrics[name][position]):
                return position, name
    return None
