"""From the section `train` to an optax transformation. Tests: tests/training/test_optimizer.py."""

import optax

from ctc_jax.errors import ConfigError, choose
from ctc_jax.training import moving_averages

SCHEDULES = {
    "cosine": lambda peak, steps: optax.cosine_decay_schedule(peak, max(1, steps)),
    "constant": lambda peak, steps: optax.constant_schedule(peak),
}

OPTIMIZERS = {
    "adam": lambda rate, config: optax.adam(rate, b2=config.beta2),
    "adamw": lambda rate, config: optax.adamw(rate, b2=config.beta2, weight_decay=config.weight_decay),
}


def learning_rate(config) -> optax.Schedule:
    """Linear warm-up, then the schedule to the last update; counted in updates, not in accumulated batches."""
    updates = -(-config.steps // config.accumulate)
    warmup = config.warmup_steps // config.accumulate
    if config.warmup_steps >= config.steps:
        raise ConfigError("train.warmup_steps", config.warmup_steps, f"less than train.steps, {config.steps}")
    after = choose(SCHEDULES, config.schedule, "train.schedule")(config.learning_rate, updates - warmup)
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, config.learning_rate, warmup), after], [warmup])


def build(config) -> optax.GradientTransformation:
    """Clipping, the optimizer and accumulation; moving averages among the parameters take their own steps.

    Args:
      config: the section `train` of configs/base.py.

    Raises:
      ConfigError: an unknown name, or a number out of its range.
    """
    ranges = {
        "steps": (config.steps >= 1, "1 or more"),
        "learning_rate": (config.learning_rate > 0, "above 0"),
        "warmup_steps": (config.warmup_steps >= 0, "0 or more"),
        "accumulate": (config.accumulate >= 1, "1 or more"),
        "clip_norm": (config.clip_norm >= 0, "0 (off) or more"),
        "beta2": (0 < config.beta2 < 1, "between 0 and 1"),
        "ema_decay": (0 <= config.ema_decay < 1, "0 (off) to below 1"),
    }
    for key, (fits, allowed) in ranges.items():
        if not fits:
            raise ConfigError(f"train.{key}", config[key], allowed)
    if config.weight_decay and config.optimizer != "adamw":
        raise ConfigError("train.weight_decay", config.weight_decay, "0, unless train.optimizer is adamw")
    chain = optax.chain(
        optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity(),
        choose(OPTIMIZERS, config.optimizer, "train.optimizer")(learning_rate(config), config),
    )
    chain = moving_averages.apart(chain)
    if config.accumulate == 1:
        return chain
    return optax.MultiSteps(chain, every_k_schedule=config.accumulate).gradient_transformation()
