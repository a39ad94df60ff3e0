"""Training objectives by name. Tests: tests/objectives/test_elbo.py, test_importance_weighted.py."""

from ctc_jax.errors import ConfigError, choose
from ctc_jax.objectives.elbo import Elbo
from ctc_jax.objectives.importance_weighted import ImportanceWeighted


def build(config) -> Elbo | ImportanceWeighted:
    """The objective a config names: `(model, params, key, batch, step) -> (loss, metrics)`.

    Args:
      config: the section `objective` of configs/base.py.

    Raises:
      ConfigError: an unknown name, a number out of its range, or one that the objective has no use for.
    """
    make = choose(REGISTRY, config.name, "objective.name")
    for key in ("kl_warmup_steps", "free_nats", "mask_annealing_steps"):
        if config[key] < 0:
            raise ConfigError(f"objective.{key}", config[key], "0 (off) or more")
    if not 0 < config.mask_annealing_start <= 1:
        raise ConfigError("objective.mask_annealing_start", config.mask_annealing_start, "above 0, at most 1")
    if not config.mask_annealing_start <= config.mask_annealing_end <= 1:
        allowed = f"from mask_annealing_start, {config.mask_annealing_start}, to 1"
        raise ConfigError("objective.mask_annealing_end", config.mask_annealing_end, allowed)
    return make(config)


def _elbo(config) -> Elbo:
    return Elbo(
        config.kl_warmup_steps,
        config.free_nats,
        config.mask_annealing_steps,
        config.mask_annealing_start,
        config.mask_annealing_end,
    )


def _importance_weighted(config) -> ImportanceWeighted:
    for key in ("kl_warmup_steps", "free_nats", "mask_annealing_steps"):
        if config[key]:
            raise ConfigError(f"objective.{key}", config[key], "0 with objective.name importance_weighted")
    if config.samples < 2:
        raise ConfigError("objective.samples", config.samples, "2 or more; with 1 this bound is objective.name elbo")
    return ImportanceWeighted(config.samples)


REGISTRY = {"elbo": _elbo, "importance_weighted": _importance_weighted}
