"""Every estimator of the registry that serves a model, with few and more samples. Tests: test_estimator_variants.py."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from ctc_jax.gradients import REGISTRY, SECTION, AbstractEstimator
from ctc_jax.models import Model
from ctc_jax.options import ConfigSection, OptionError

SAMPLES = (1, 2, 4)


class Variant(NamedTuple):
    """An estimator with a number of samples.

    Attributes:
      label: the registry's name, with the number of samples where it takes some: rloo-2.
      name: of the registry.
      estimator: with these samples.
      rewards: it takes for an example.
    """

    label: str
    name: str
    estimator: AbstractEstimator
    rewards: int


def variants(
    model: Model, *, most_rewards: int, names: Sequence[str] = (), options: ConfigSection | None = None
) -> list[Variant]:
    """The variants that serve a model.

    Args:
      model: with masks.
      most_rewards: of an example; what takes more is left out.
      names: of the registry; empty is all.
      options: the section `estimator` of a config, for all options but the number of samples; None is the defaults.
    """
    found = []
    for name, part in REGISTRY.items():
        if part.refuses(model.mask_sites) or (names and name not in names):
            continue
        estimator = SECTION.part(options or {}, name)
        several = "samples" in {field.name for field in dataclasses.fields(part)}
        for samples in SAMPLES if several else ("",):
            # Leave-one-out has none to leave out with one sample.
            with contextlib.suppress(OptionError):
                one = with_samples(estimator, samples) if several else estimator
                rewards = one.rewards_in_all(model.mask_sites)
                if rewards <= most_rewards:
                    found.append(Variant(f"{name}-{samples}".rstrip("-"), name, one, rewards))
    return found


def with_samples(estimator: AbstractEstimator, samples: int) -> AbstractEstimator:
    """An estimator with another number of samples.

    Raises:
      OptionError: fewer than it needs.
    """
    return dataclasses.replace(estimator, samples=samples)
