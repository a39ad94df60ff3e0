"""Every estimator of the registry that serves a model, with few and more samples. Tests: test_estimator_variants.py."""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from configs import base
from ctc_jax import gradients
from ctc_jax.errors import ConfigError
from ctc_jax.models import Model

SAMPLES = (1, 2, 4)


class Variant(NamedTuple):
    """An estimator with a number of samples.

    Attributes:
      label: the registry's name, with the number of samples where it takes some: rloo-2.
      entry: the registry's.
      samples: as in `estimator.samples`.
      rewards: it takes for an example.
    """

    label: str
    entry: gradients.Estimator
    samples: int
    rewards: int


def variants(model: Model, *, most_rewards: int, names: Sequence[str] = ()) -> list[Variant]:
    """The variants that serve a model.

    Args:
      model: with masks.
      most_rewards: of an example; what takes more is left out.
      names: of the registry; empty is all.
    """
    found = []
    asked = {"mask_kinds": model.mask_kinds, "levels": model.mask_levels}
    asked |= {"linear": model.mask_linear, "values": model.mask_values}
    for entry in gradients.REGISTRY.values():
        if not entry.serves(**asked) or (names and entry.name not in names):
            continue
        counts = {}
        for samples in reversed(SAMPLES):
            config = base.get_config().estimator
            config.update(name=entry.name, samples=samples)
            # Leave-one-out has none to leave out with one sample.
            with contextlib.suppress(ConfigError):
                entry.make(config)
                counts[entry.rewards_in_all(config, model.mask_sizes.values())] = samples
        for rewards, samples in sorted(counts.items()):
            if rewards <= most_rewards:
                label = f"{entry.name}-{samples}" if len(counts) > 1 else entry.name
                found.append(Variant(label, entry, samples, rewards))
    return found
