"""From options to an optax transformation. Tests: tests/training/test_optimizer.py."""

from collections.abc import Callable
from dataclasses import dataclass

import optax

from ctc_jax.options import OptionError, Options, option
from ctc_jax.training import moving_averages

SCHEDULES: dict[str, Callable[[float, int], optax.Schedule]] = {
    "cosine": lambda peak, updates: optax.cosine_decay_schedule(peak, max(1, updates)),
    "constant": lambda peak, updates: optax.constant_schedule(peak),
}

OPTIMIZERS: dict[str, Callable] = {
    "adam": lambda rate, beta2, weight_decay: optax.adam(rate, b2=beta2),
    "adamw": lambda rate, beta2, weight_decay: optax.adamw(rate, b2=beta2, weight_decay=weight_decay),
}


@dataclass(frozen=True)
class OptimizerOptions(Options):
    """What an update is made of."""

    steps: int = option(100_000, "of training", at_least=1)
    learning_rate: float = option(1e-3, "the highest", above=0)
    schedule: str = option("cosine", "cosine falls to 0 at the last step", choices=tuple(SCHEDULES))
    warmup_steps: int = option(500, "over which the learning rate rises linearly from 0", at_least=0)
    optimizer: str = option("adam", "of the parameters", choices=tuple(OPTIMIZERS))
    beta2: float = option(0.999, "decay of the second moment", above=0, below=1)
    weight_decay: float = option(0.0, "of adamw", at_least=0)
    clip_norm: float = option(0.0, "of the whole gradient; 0 is off", at_least=0)
    accumulate: int = option(1, "batches averaged into one update", at_least=1)

    def check(self) -> None:
        """Refuses a warm-up that does not end, and a weight decay that nothing takes."""
        if self.warmup_steps >= self.steps:
            raise OptionError("warmup_steps", self.warmup_steps, f"less than train.steps, {self.steps}")
        if self.weight_decay and self.optimizer != "adamw":
            raise OptionError("weight_decay", self.weight_decay, "0, unless train.optimizer is adamw")


def learning_rate(options: OptimizerOptions) -> optax.Schedule:
    """Linear warm-up, then the schedule to the last update; counted in updates, not in accumulated batches."""
    updates = -(-options.steps // options.accumulate)
    warmup = options.warmup_steps // options.accumulate
    after = SCHEDULES[options.schedule](options.learning_rate, updates - warmup)
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, options.learning_rate, warmup), after], [warmup])


def build(options: OptimizerOptions) -> optax.GradientTransformation:
    """Clipping, the optimizer and accumulation; moving averages among the parameters take their own steps."""
    make = OPTIMIZERS[options.optimizer]
    chain = optax.chain(
        optax.clip_by_global_norm(options.clip_norm) if options.clip_norm else optax.identity(),
        make(learning_rate(options), options.beta2, options.weight_decay),
    )
    chain = moving_averages.apart(chain)
    if options.accumulate == 1:
        return chain
    return optax.MultiSteps(chain, every_k_schedule=options.accumulate).gradient_transformation()
