"""From options to an optax transformation. Tests: tests/training/test_optimizer.py."""

from collections.abc import Callable
from dataclasses import dataclass

import optax

from ctc_jax.options import OptionError, Options, option
from ctc_jax.training import moving_averages
from ctc_jax.training.langevin import sgld

SCHEDULES: dict[str, Callable[[float, int], optax.Schedule]] = {
    "cosine": lambda peak, updates: optax.cosine_decay_schedule(peak, max(1, updates)),
    "constant": lambda peak, updates: optax.constant_schedule(peak),
    "burda": lambda peak, updates: _burda(peak, updates),
}
STAGES = 8  # of Burda et al. (2016, arXiv:1509.00519, section 5): 3,280 passes over the data

# Of a schedule, the options, and what Langevin dynamics need besides: the number of training images and a seed.
OPTIMIZERS: dict[str, Callable] = {
    "adam": lambda rate, options, **_: optax.adam(rate, b2=options.beta2, eps=options.epsilon),
    "adamw": lambda rate, options, **_: optax.adamw(
        rate, b2=options.beta2, eps=options.epsilon, weight_decay=options.weight_decay
    ),
    "sgld": lambda rate, options, **given: sgld(rate, weight_decay=options.weight_decay, **given),
    "psgld": lambda rate, options, **given: sgld(
        rate, weight_decay=options.weight_decay, beta2=options.beta2, epsilon=options.epsilon, **given
    ),
}
SAMPLERS = ("sgld", "psgld")


@dataclass(frozen=True)
class OptimizerOptions(Options):
    """What an update is made of."""

    steps: int = option(100_000, "of training", at_least=1)
    learning_rate: float = option(1e-3, "the highest", above=0)
    schedule: str = option(
        "cosine",
        "cosine falls to 0 at the last step, burda to a tenth in 8 stages, each three times as long as the one before",
        choices=tuple(SCHEDULES),
    )
    warmup_steps: int = option(500, "over which the learning rate rises linearly from 0", at_least=0)
    optimizer: str = option(
        "adam",
        "of the parameters; sgld and psgld (preconditioned) draw them from p(params | images)",
        choices=tuple(OPTIMIZERS),
    )
    beta2: float = option(0.999, "decay of the second moment", above=0, below=1)
    epsilon: float = option(1e-8, "added to the root of the second moment", above=0)
    weight_decay: float = option(
        0.0, "of adamw; of sgld and psgld, the precision of a Gaussian prior over the number of images", at_least=0
    )
    clip_norm: float = option(0.0, "of the whole gradient; 0 is off", at_least=0)
    skip_factor: float = option(
        0.0,
        "steps are skipped whose gradient's norm is so many times the geometric mean of the last ones; 0 is off, else "
        "above 1",
        at_least=0,
    )
    accumulate: int = option(1, "batches averaged into one update", at_least=1)

    def check(self) -> None:
        """Refuses a warm-up that does not end, a weight decay that nothing takes, and draws of changed gradients."""
        if self.warmup_steps >= self.steps:
            raise OptionError("warmup_steps", self.warmup_steps, f"less than train.steps, {self.steps}")
        if self.weight_decay and self.optimizer not in ("adamw", *SAMPLERS):
            takers = "adamw, sgld or psgld"
            raise OptionError("weight_decay", self.weight_decay, f"0, unless train.optimizer is {takers}")
        if 0 < self.skip_factor <= 1:
            raise OptionError("skip_factor", self.skip_factor, "0 (off), or above 1")
        for name in ("clip_norm", "skip_factor"):
            if getattr(self, name) and self.optimizer in SAMPLERS:
                allowed = f"0 with train.optimizer {self.optimizer}, whose draws it would make those of another law"
                raise OptionError(name, getattr(self, name), allowed)


def learning_rate(options: OptimizerOptions) -> optax.Schedule:
    """Linear warm-up, then the schedule to the last update; counted in updates, not in accumulated batches."""
    updates = -(-options.steps // options.accumulate)
    warmup = options.warmup_steps // options.accumulate
    after = SCHEDULES[options.schedule](options.learning_rate, updates - warmup)
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, options.learning_rate, warmup), after], [warmup])


def build(options: OptimizerOptions, *, images: int = 0, seed: int = 0) -> optax.GradientTransformation:
    """Clipping, the optimizer and accumulation; moving averages among the parameters take their own steps.

    Args:
      options: which, and how.
      images: in the training part.
      seed: of the noise, for an optimizer that has some.

    Raises:
      ValueError: draws of p(params | images) of no images.
    """
    if options.optimizer in SAMPLERS and not images:
        raise ValueError(f"{options.optimizer} of {images} images; allowed: 1 or more")
    make = OPTIMIZERS[options.optimizer]
    chain = optax.chain(
        optax.clip_by_global_norm(options.clip_norm) if options.clip_norm else optax.identity(),
        make(learning_rate(options), options, images=images, seed=seed),
    )
    chain = moving_averages.apart(chain)
    if options.accumulate == 1:
        return chain
    return optax.MultiSteps(chain, every_k_schedule=options.accumulate).gradient_transformation()


def _burda(peak: float, updates: int) -> optax.Schedule:
    """peak * 10^(-i / 7) in stage i, which takes 3^i of (3^8 - 1) / 2 parts of all updates."""
    ends = [round(updates * (3 ** (stage + 1) - 1) / (3**STAGES - 1)) for stage in range(STAGES - 1)]
    rates = [optax.constant_schedule(peak * 10 ** (-stage / (STAGES - 1))) for stage in range(STAGES)]
    return optax.join_schedules(rates, ends)
