"""Every estimator of the registry that serves a model, with few and more samples. Tests: test_estimator_variants.py."""

from collections.abc import Sequence
from typing import NamedTuple

from machine import ROOT  # noqa: F401, makes the repository importable

from ctc_jax import gradients

SAMPLES = (2, 4)


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


def variants(kind: str, places: int, alternatives: int, *, most_rewards: int, names: Sequence[str] = ()):
    """The variants that serve one level of masks below a linear layer.

    Args:
      kind: bernoulli or categorical.
      places: number of masks.
      alternatives: of each.
      most_rewards: of an example; what takes more is left out.
      names: of the registry; empty is all.
    """
    found = []
    for entry in gradients.REGISTRY.values():
        if not entry.serves(mask_kinds=frozenset({kind}), levels=1, linear=True) or (names and entry.name not in names):
            continue
        counts = {entry.rewards(samples, places, alternatives): samples for samples in reversed(SAMPLES)}
        for rewards, samples in sorted(counts.items()):
            if rewards <= most_rewards:
                label = f"{entry.name}-{samples}" if len(counts) > 1 else entry.name
                found.append(Variant(label, entry, samples, rewards))
    return found
