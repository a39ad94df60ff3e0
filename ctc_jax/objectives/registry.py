"""Training objectives by name. Tests: tests/objectives/test_elbo.py."""

from ctc_jax.errors import ConfigError, choose
from ctc_jax.objectives.elbo import Elbo


def build(config) -> Elbo:
    """The objective a config names: `(model, params, key, batch, step) -> (loss, metrics)`.

    Args:
      config: the section `objective` of configs/base.py.

    Raises:
      ConfigError: an unknown name or a negative number.
    """
    make = choose(REGISTRY, config.name, "objective.name")
    for key in ("kl_warmup_steps", "free_nats"):
        if config[key] < 0:
            raise ConfigError(f"objective.{key}", config[key], "0 (off) or more")
    return make(config)


REGISTRY = {"elbo": lambda config: Elbo(config.kl_warmup_steps, config.free_nats)}
