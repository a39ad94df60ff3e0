"""What every estimator of a gradient through masks states and does. Tests: tests/gradients/test_estimator.py.

An estimator is a final frozen dataclass whose fields are its options, under one of three abstract bases. They differ in
how an estimator meets several levels of masks:

- `SinglePass`: a mask carries its own gradient, at any depth.
- `Score`: log q(m) times a signal, at any depth with samples of the whole model.
- `Nested`: several rewards at one place of a model, whose number multiplies from level to level; two levels at most.
"""

import abc
import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float, Int, Key

from ctc_jax.distributions.mask_kind import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.distributions.mask_site import MaskSite
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.surrogate import Estimate, Reward
from ctc_jax.options import Options

BOTH = frozenset({BERNOULLI, CATEGORICAL})

# What estimators are given besides logits and reward.
Context = Float[Array, "batch inputs"] | None
Step = Int[Array, ""] | int | None
Samples = Float[Array, "samples batch"]


@dataclass(frozen=True)
class AbstractEstimator(Options, abc.ABC):
    """An estimate of an expected reward and of its gradient; a callable.

    Attributes:
      unbiased: its expectation is the exact gradient.
      condition: what `unbiased` supposes of the reward, in words; "" is nothing.
      kinds: of the masks that it serves.
      learned: what it learns beside the model, in words; "" is nothing.
      needs_sparse_reward: the reward must be a `SparseReward`.
      values_alone: it gives mask logits no gradient, and so fits latents whose masks multiply values.
      most_levels: of masks that depend on one another; 0 is any number.
      samples: masks, hard or relaxed, at which it evaluates the reward of an example.
      cost: `rewards` in words, for the page: D masks of C categories, K samples; "" is what `samples` says.
    """

    unbiased: ClassVar[bool]
    kinds: ClassVar[frozenset[MaskKind]]
    condition: ClassVar[str] = ""
    learned: ClassVar[str] = ""
    needs_sparse_reward: ClassVar[bool] = False
    values_alone: ClassVar[bool] = False
    most_levels: ClassVar[int] = 0
    samples: ClassVar[int] = 1
    cost: ClassVar[str] = ""

    def __call__(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: Reward,
        *,
        kind: MaskKind,
        params: dict | None = None,
        context: Context = None,
        step: Step = None,
    ) -> Estimate:
        """The expected reward and its gradient, estimated for one level of masks.

        Args:
          key: of everything it draws.
          logits: of the masks, nats: `[batch, *dimensions]` of gates, `[batch, *dimensions, categories]` of one-hot
            masks.
          reward: masks of the shape of the logits to rewards `[batch]`; it closes over everything else.
          kind: of the masks.
          params: what `init` gave, as trained since.
          context: features of the input for baselines that depend on it; no gradient reaches them.
          step: of training, for schedules; None is the end of each.

        Raises:
          ValueError: another kind of mask than it serves, or no parameters where it learns some.
          TypeError: another reward than it needs.
        """
        name = type(self).__name__
        if kind not in self.kinds:
            served = ", ".join(sorted(kind.name for kind in self.kinds)) or "continuous latents alone"
            raise ValueError(f"{name}: {kind.name} masks; allowed: {served}")
        if self.needs_sparse_reward and not isinstance(reward, SparseReward):
            raise TypeError(f"{name}: reward is a {type(reward).__name__}; allowed: a SparseReward")
        if self.learned and not params:
            raise ValueError(f"{name}: params is {params!r}; allowed: what its init gives")
        return self.estimate(key, logits, reward, kind=kind, params=params, context=context, step=step)

    @abc.abstractmethod
    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **given: Any
    ) -> Estimate:
        """As a call, which has checked its arguments and gives all of them; a subclass names those that it uses."""

    def rewards(self, site: MaskSite) -> int:
        """Evaluations of the reward per example, for one latent."""
        del site
        return self.samples

    def rewards_in_all(self, sites: tuple[MaskSite, ...]) -> int:
        """Evaluations of a whole model per example."""
        return max((self.rewards(site) for site in sites), default=1)

    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """Parameters that it learns for one latent; {} unless it learns some.

        Args:
          key: of their random start.
          logits_shape: of one example's logits.
          context_size: number of features of the input.
        """
        del key, logits_shape, context_size
        return {}

    def of(self, name: str) -> "AbstractEstimator":
        """The estimator of a latent by name: this one, whichever it is."""
        del name
        return self

    @classmethod
    def refuses(cls, sites: tuple[MaskSite, ...]) -> str:
        """What it does not serve of a model with these masks, in words; "" where it serves the model."""
        if not sites:
            return "continuous latents" if cls.kinds else ""
        if others := sorted({site.kind.name for site in sites if site.kind not in cls.kinds}):
            return f"{', '.join(others)} masks"
        if cls.most_levels and len(sites) > cls.most_levels:
            return f"masks on {len(sites)} levels"
        if cls.needs_sparse_reward and not all(site.linear for site in sites):
            return "masks without a linear layer upon them"
        if cls.values_alone and not all(site.valued for site in sites):
            return "masks without values"
        return ""


@dataclass(frozen=True)
class Pathwise(AbstractEstimator):
    """Reparameterization alone, for models without masks: there is nothing to estimate."""

    unbiased, kinds = True, frozenset()

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **given: Any
    ) -> Estimate:
        """Is never reached: it serves no mask."""
        raise NotImplementedError("Pathwise serves no mask")


class SinglePass(AbstractEstimator):
    """Estimators whose mask carries its own gradient, so that a model of any depth needs one pass."""

    @abc.abstractmethod
    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """A mask, hard or relaxed, that carries a gradient to its logits."""

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: Reward,
        *,
        kind: MaskKind,
        step: Step,
        **_: Any,
    ) -> Estimate:
        """The reward of the mask."""
        value = reward(self.mask(key, logits, kind=kind, step=step))
        return Estimate(value, value)


class Score(AbstractEstimator):
    """Estimators that multiply log q(m) with a signal made of the rewards of `samples` independent masks."""

    @abc.abstractmethod
    def combine(
        self, rewards: Samples, log_masks: Samples, *, params: dict | None = None, context: Context = None
    ) -> Estimate:
        """The estimate from samples.

        Args:
          rewards: of the masks, with the gradients of what the reward closes over.
          log_masks: log-probabilities of the masks, nats, with the gradients of the logits.
          params: what `init` gave, as trained since.
          context: features of the input; no gradient reaches them.
        """

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: Reward,
        *,
        kind: MaskKind,
        params: dict | None,
        context: Context,
        **_: Any,
    ) -> Estimate:
        """Draws masks and combines their rewards."""
        masks = kind.sample(key, logits, self.samples)
        log_masks = jax.vmap(partial(kind.total_log_prob, logits))(masks)
        return self.combine(jax.vmap(reward)(masks), log_masks, params=params, context=context)


class Nested(AbstractEstimator):
    """Estimators that evaluate the rest of the model several times at one level of masks."""

    most_levels = 2

    def rewards_in_all(self, sites: tuple[MaskSite, ...]) -> int:
        """Evaluations of a whole model per example: those of the levels multiply."""
        return math.prod(self.rewards(site) for site in sites)
