"""Options that estimators read from the section `estimator` of a config. Tests: tests/gradients/test_registry.py."""

from ctc_jax.errors import ConfigError
from ctc_jax.gradients import temperature
from ctc_jax.gradients.binding import at_least

several_samples = at_least("samples", 2)

# Rewards after flips, in which the linear layer is not evaluated again.
SINGLE_FLIPS, DIAGONAL_FLIPS = 16, 2


def width(config) -> dict:
    """Units of a learned network's hidden layer."""
    return {"width": at_least("baseline_width", 1)(config)["baseline_width"]}


def decay(config) -> dict:
    """Of a moving average, a step.

    Raises:
      ConfigError: it is not in [0, 1).
    """
    if not 0 <= config.decay < 1:
        raise ConfigError("estimator.decay", config.decay, "0 to below 1")
    return {"decay": config.decay}


def first_temperature(config) -> dict:
    """Where a learned temperature starts."""
    return {"temperature": temperature.build(config).start}


def second_order(config) -> dict:
    """Share of ReinMax's correction to straight-through.

    Raises:
      ConfigError: it is not in [0, 1].
    """
    if not 0 <= config.second_order <= 1:
        raise ConfigError("estimator.second_order", config.second_order, "0 (straight-through) to 1 (ReinMax)")
    return {"second_order": config.second_order}


def policy(config) -> dict:
    """Of a trust region.

    Raises:
      ConfigError: no trust region, or a negative weight.
    """
    if not config.trust_region > 0:
        raise ConfigError("estimator.trust_region", config.trust_region, "a number above 0")
    if not config.entropy >= 0:
        raise ConfigError("estimator.entropy", config.entropy, "0 or more")
    return {"trust_region": config.trust_region, "entropy": config.entropy}


def flips(own: int, minimum: int):
    """Masks, and flips sampled for each: `estimator.flips`, where 0 is the estimator's `own` number.

    Raises:
      ConfigError: when read from a config in which either are too few.
    """

    def read(config) -> dict:
        if config.flips and config.flips < minimum:
            allowed = f"{minimum} or more, or 0 for {own}, with estimator.name {config.name}"
            raise ConfigError("estimator.flips", config.flips, allowed)
        return {"flips": config.flips or own, **at_least("samples", 1)(config)}

    return read


def diagonal(config) -> dict:
    """Masks, flips, and whether the values' gradient is controlled as well."""
    return {**flips(DIAGONAL_FLIPS, 1)(config), "control_values": config.control_values}
