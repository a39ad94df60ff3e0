"""Estimators of a hierarchy's gradient for a benchmark. Tests: tests/benchmarks/gradients/test_hierarchy.py."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from benchmarks.gradients import tiny
from benchmarks.gradients.frozen import Sampler
from benchmarks.gradients.statistics import Draws
from benchmarks.gradients.variants import variants
from benchmarks.harness.trainer import Trainer
from ctc_jax.data import Batch
from ctc_jax.gradients import (
    REGISTRY,
    AbstractEstimator,
    Enumerate,
    GumbelRao,
    ReinMax,
    ReinMaxCV,
    ReinMaxRao,
    SingleFlips,
    SinglePass,
    StraightThrough,
)
from ctc_jax.gradients.estimator import BOTH
from ctc_jax.models import ChainModel

# An unbiased estimator of little noise: whether it serves a depth is for the registry to say.
REFERENCES = (("double_cv", 2), ("rloo", 16))
# Of the enumerated hierarchy: what is set against ReinMax.
SETTINGS = {
    "straight_through": StraightThrough(),
    "gumbel_rao, t = 1": GumbelRao(),
    "reinmax, half": ReinMax(second_order=0.5),
    "reinmax": ReinMax(),
    **{f"reinmax_rao, t = {t}": ReinMaxRao(temperature=t) for t in (0.5, 1.0)},
    **{
        f"reinmax_cv, eta = {eta}, t = {t}": ReinMaxCV(eta=eta, temperature=t)
        for eta, t in ((0.5, 1.0), (1.5, 0.5), (1.5, 1.0))
    },
    "single_flips, 1 x 4": SingleFlips(samples=1, flips=4),
}
MOST_REWARDS = 16  # an estimator may take for an example
HELD = "none"
HELD_VALUES = 4  # seed
RECOGNITION = ("up", "joined", "posteriors", "top")
CHOSEN = "chosen"  # beside the parameters, which of several estimators draws


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An estimator with its options.

    Attributes:
      name: the registry's, with the number of samples where it takes some; "none" gives masks no gradient.
      unbiased: whether its expectation is the gradient.
      rewards: whole models it evaluates for an example.
      sampler: of its gradient, which several may share.
      chosen: which of those that share it.
    """

    name: str
    unbiased: bool
    rewards: int
    sampler: Sampler
    chosen: int = 0

    def __call__(self, params: Any, batch: Batch, **draws: Any) -> dict[str, Draws]:
        """As the sampler."""
        return self.sampler({**params, CHOSEN: np.int32(self.chosen)}, batch, **draws)


def draw(
    model: ChainModel,
    estimators: Sequence[AbstractEstimator],
    params: Any,
    key: Key[Array, ""],
    batch: Batch,
    *,
    held: bool = False,
) -> dict[str, Float[Array, " components"]]:
    """One estimate of the gradient of the batch's mean ELBO, nats, flat, by part of the recognition model.

    A part is the layer of a level's mask logits in q, or all of q. Estimators of the family "single_pass" differ in
    their masks alone and are compiled as one, which takes most of a program's time: `params[CHOSEN]` says which draws.
    Where all but the masks is `held`, the key is the masks' alone.
    """
    chosen, params = params[CHOSEN], {name: value for name, value in params.items() if name != CHOSEN}
    estimator = estimators[0] if len(estimators) == 1 else either(estimators, chosen)
    ready = dataclasses.replace(model, estimator=tiny.held(estimator, key) if held else estimator)
    of_all = jax.random.key(HELD_VALUES) if held else key

    def elbo(params):
        bound = ready.bound(params, of_all, batch)
        return jnp.mean(bound.log_likelihood - sum(bound.kl.values()))

    found = jax.grad(elbo)(params)
    parts = {
        f"level {level + 1}": found[f"posteriors_{level}"]["parameters"]["logits"]
        for level, family in enumerate(model.network.families)
        if family is not None and family.kind is not None
    }
    parts["recognition"] = {name: value for name, value in found.items() if name.startswith(RECOGNITION)}
    return {name: jax.flatten_util.ravel_pytree(part)[0] for name, part in parts.items()}


def either(estimators: Sequence[SinglePass], chosen: Int[Array, ""]) -> SinglePass:
    """The one of several whose masks carry their own gradient that a number says."""

    class Either(SinglePass):
        unbiased, kinds = False, estimators[0].kinds

        def mask(self, key, logits, *, kind, step=None):
            return jax.lax.switch(chosen, [partial(one.mask, kind=kind, step=step) for one in estimators], key, logits)

    return Either()


class WithoutGradient(SinglePass):
    """A plain sample."""

    unbiased, kinds = False, BOTH

    def mask(self, key, logits, *, kind, step=None):
        """A sample, which carries no gradient."""
        del step
        return kind.sample(key, logits)[0]


def candidates(trainer: Trainer, names: Sequence[str], samples: int) -> list[Candidate]:
    """Estimators of these names that serve the hierarchy and learn nothing, at so many samples if they take some."""
    model, found = trainer.experiment.model, []
    chosen = variants(model, most_rewards=MOST_REWARDS, names=names, options=trainer.config.estimator)
    chosen = [one for one in chosen if not one.estimator.learned and one.label in (one.name, f"{one.name}-{samples}")]
    single = [one for one in chosen if isinstance(one.estimator, SinglePass)]
    if single:
        shared = Sampler(model, (*(one.estimator for one in single), WithoutGradient()), draw)
        found = [Candidate(one.label, False, 1, shared, index) for index, one in enumerate(single)]
        found.append(Candidate(HELD, False, 1, shared, len(single)))
    for one in chosen:
        if one not in single:
            sampler = Sampler(model, (one.estimator,), draw)
            found.append(Candidate(one.label, one.estimator.unbiased, one.rewards, sampler))
    return found


def settings(trainer: Trainer) -> tuple[list[Candidate], Candidate]:
    """The estimators of `SETTINGS` with their options, values held, and the exact gradient."""
    model, draw_held = trainer.experiment.model, partial(draw, held=True)

    def of(name: str, estimator: AbstractEstimator) -> Candidate:
        sampler = Sampler(model, (estimator,), draw_held)
        return Candidate(name, estimator.unbiased, estimator.rewards_in_all(model.mask_sites), sampler)

    single = {name: one for name, one in SETTINGS.items() if isinstance(one, SinglePass)}
    shared = Sampler(model, (*single.values(), WithoutGradient()), draw_held)
    found = [Candidate(name, False, 1, shared, index) for index, name in enumerate([*single, HELD])]
    return [*found, *(of(name, one) for name, one in SETTINGS.items() if name not in single)], of("exact", Enumerate())


def reference(trainer: Trainer, found: Sequence[Candidate]) -> Candidate:
    """An unbiased estimator of little noise that serves the depth; one of those found, if it is among them."""
    model = trainer.experiment.model
    name, samples = next(of for of in REFERENCES if not REGISTRY[of[0]].refuses(model.mask_sites))
    known = {one.name: one for one in found}
    if f"{name}-{samples}" in known:
        return known[f"{name}-{samples}"]
    estimator = REGISTRY[name](samples=samples)
    return Candidate(f"{name}-{samples}", True, samples, Sampler(model, (estimator,), draw))
