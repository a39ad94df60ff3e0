"""Gradient estimators by name, and what each can serve. Tests: tests/gradients/test_registry.py."""

from collections.abc import Callable
from dataclasses import dataclass

from ctc_jax.errors import ConfigError, choose


@dataclass(frozen=True)
class Estimator:
    """What the registry states of one estimator.

    Attributes:
      name: as in `estimator.name`.
      unbiased: its expectation is the exact gradient.
      mask_kinds: kinds of latent mask it differentiates through: any of "bernoulli", "categorical".
      rewards: evaluations of the decoder per example.
      surrogate: `(key, logits, reward) -> (value, surrogate)`, or None when no mask is sampled.
    """

    name: str
    unbiased: bool
    mask_kinds: frozenset[str]
    rewards: int
    surrogate: Callable | None


# Reparameterization alone: nothing to estimate where every latent is continuous.
PATHWISE = Estimator("pathwise", unbiased=True, mask_kinds=frozenset(), rewards=1, surrogate=None)

REGISTRY = {"pathwise": PATHWISE}


def build(config, *, mask_kinds: frozenset[str]) -> Estimator:
    """The estimator a config names, checked against the masks of the model that will use it.

    Args:
      config: the section `estimator` of configs/base.py.
      mask_kinds: kinds of mask among the model's latents; empty when all are continuous.

    Raises:
      ConfigError: the name is unknown, or the estimator does not serve one of the mask kinds.
    """
    estimator = choose(REGISTRY, config.name, "estimator.name")
    if not mask_kinds <= estimator.mask_kinds:
        fitting = sorted(name for name, entry in REGISTRY.items() if mask_kinds <= entry.mask_kinds)
        kinds = ", ".join(sorted(mask_kinds))
        raise ConfigError(
            "estimator.name", config.name, f"one that serves {kinds} masks: {', '.join(fitting) or 'none'}"
        )
    return estimator
