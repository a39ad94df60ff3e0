"""What is stated of an estimator, and an estimator ready for use. Tests: tests/gradients/test_registry.py."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.surrogate import Estimate, Reward


@dataclass(frozen=True)
class Estimator:
    """What the registry states of one estimator.

    Attributes:
      name: as in `estimator.name`.
      unbiased: its expectation is the exact gradient.
      mask_kinds: kinds of latent mask it differentiates through: any of "bernoulli", "categorical".
      rewards: `(config, places, alternatives)` to evaluations of the reward per example; the section `estimator`.
      family: how it meets several levels of masks. "pathwise": there is no mask. "single_pass": a mask carries its own
        gradient, at any depth. "score": log q times a signal, at any depth with samples of the whole model. "nested":
        several rewards at one place of the model, whose number multiplies from level to level: two levels at most.
      make: the section `estimator` of a config to a `BoundEstimator`; reads the keys it needs alone.
      learned: what it learns beside the model, in words; "" is nothing.
      needs: "sparse_reward" where the reward must be a `SparseReward`; "" is nothing.
      values_alone: whether it gives the mask logits no gradient, and so fits latents that have values alone.
    """

    name: str
    unbiased: bool
    mask_kinds: frozenset[str]
    rewards: Callable[[Any, int, int], int]
    family: str
    make: Callable[[Any], "BoundEstimator"]
    learned: str = ""
    needs: str = ""
    values_alone: bool = False

    def serves(self, *, mask_kinds: frozenset[str], levels: int, linear: bool, values: bool) -> bool:
        """Whether it fits a model of these masks, levels of masks, a linear layer upon each mask, and masked values."""
        if not mask_kinds or self.family == "pathwise":
            return not mask_kinds and self.family == "pathwise"
        return (
            mask_kinds <= self.mask_kinds
            and (levels <= 2 or self.family != "nested")
            and (linear or self.needs != "sparse_reward")
            and (values or not self.values_alone)
        )

    def rewards_in_all(self, config, sizes: Iterable[tuple[int, int]]) -> int:
        """Evaluations of a whole model per example: those of nested latents multiply.

        Args:
          config: the section `estimator`.
          sizes: places and alternatives of each latent with masks.
        """
        of_each = [self.rewards(config, *size) for size in sizes]
        return math.prod(of_each) if self.family == "nested" else max(of_each)


def nothing_learned(key, logits_shape: tuple[int, ...], context_size: int) -> dict:
    """The parameters of an estimator that has none."""
    del key, logits_shape, context_size
    return {}


@dataclass(frozen=True)
class BoundEstimator:
    """An estimator with its options.

    Attributes:
      estimate: `(key, logits, reward, *, kind, params, context, step)` to an Estimate.
      init: `(key, logits_shape, context_size)` to learned parameters; the shape is that of one example's logits.
      mask: of the family "single_pass", `(key, logits, *, kind, step)` to a mask with its gradient, else None.
      combine: of the family "score", `(rewards, log_masks, *, params, context)`, each `[samples, batch]`, to an
        Estimate; rewards carry their own gradients, log_masks those of log q. None in other families.
      samples: how many of them `combine` takes.
      entry: what the registry states of it.
    """

    estimate: Callable[..., Estimate]
    init: Callable[..., dict] = nothing_learned
    mask: Callable | None = None
    combine: Callable[..., Estimate] | None = None
    samples: int = 1
    entry: Estimator | None = None

    def of(self, latent: str) -> "BoundEstimator":
        """That of one latent of a model: itself, whichever it is."""
        del latent
        return self

    def __call__(
        self, key, logits, reward: Reward, *, kind: MaskKind, params=None, context=None, step=None
    ) -> Estimate:
        """The expected reward and its gradient, estimated.

        Args:
          key: of everything it draws.
          logits: mask logits, nats, `[batch, *places(, categories)]`.
          reward: masks to rewards `[batch]`; a `SparseReward` for an estimator that needs one.
          kind: of the masks.
          params: what `init` gave, as trained since.
          context: features of the input, `[batch, context]`, for baselines that depend on it; held.
          step: of training, for schedules; None is the end of each.

        Raises:
          ValueError: another kind of mask than it serves, or no parameters where it learns some.
          TypeError: another reward than it needs.
        """
        if self.entry is not None:
            self._check(reward, kind, params)
        return self.estimate(key, logits, reward, kind=kind, params=params, context=context, step=step)

    def _check(self, reward, kind, params):
        entry = self.entry
        if kind.name not in entry.mask_kinds:
            served = ", ".join(sorted(entry.mask_kinds)) or "none, it is for continuous latents"
            raise ValueError(f"estimator {entry.name}: {kind.name} masks; allowed: {served}")
        if entry.needs == "sparse_reward" and not isinstance(reward, SparseReward):
            raise TypeError(f"estimator {entry.name}: reward is a {type(reward).__name__}; allowed: a SparseReward")
        if entry.learned and not params:
            raise ValueError(f"estimator {entry.name}: params is {params!r}; allowed: what its init gives")
