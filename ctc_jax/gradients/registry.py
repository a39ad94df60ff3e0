"""Gradient estimators by name, and what each can serve. Tests: tests/gradients/test_registry.py."""

import dataclasses

from ctc_jax.errors import ConfigError, choose
from ctc_jax.gradients import exact, relaxed, score_function, temperature
from ctc_jax.gradients.estimator import (
    BERNOULLI_MASKS,
    BOTH_MASKS,
    CATEGORICAL_MASKS,
    BoundEstimator,
    Estimator,
    stateless,
)
from ctc_jax.gradients.relaxed import SinglePass


def at_least(config, key: str, minimum: int) -> int:
    """A number of the section.

    Raises:
      ConfigError: below its minimum.
    """
    if config[key] < minimum:
        raise ConfigError(f"estimator.{key}", config[key], f"{minimum} or more with estimator.name {config.name}")
    return config[key]


def _pathwise(config) -> BoundEstimator:
    del config

    def estimate(key, logits, reward, *, kind, params=None, context=None, step=None):
        raise ValueError("estimator pathwise: there are masks; allowed: continuous latents alone")

    return BoundEstimator(estimate)


def _score(config) -> BoundEstimator:
    del config
    bound = stateless(score_function.score)
    return dataclasses.replace(bound, combine=_without_state(score_function.combine_plainly))


def _rloo(config) -> BoundEstimator:
    samples = at_least(config, "samples", 2)
    bound = stateless(score_function.rloo, samples=samples)
    combine = _without_state(score_function.combine_leaving_one_out)
    return dataclasses.replace(bound, combine=combine, samples=samples)


def _without_state(function):
    def combine(rewards, log_masks, *, params=None, context=None):
        del params, context
        return function(rewards, log_masks)

    return combine


def _single_pass(function: SinglePass, *, tempered: bool = False, options=lambda config: {}):
    def make(config) -> BoundEstimator:
        schedule, fixed = temperature.build(config) if tempered else None, options(config)

        def at(step):
            return {**fixed, "temperature": schedule(step)} if tempered else fixed

        def mask(key, logits, *, kind, step=None):
            return function.mask(key, logits, kind=kind, **at(step))

        def estimate(key, logits, reward, *, kind, params=None, context=None, step=None):
            del params, context
            return function(key, logits, reward, kind=kind, **at(step))

        return BoundEstimator(estimate, mask=mask)

    return make


def _one(samples: int, places: int, alternatives: int) -> int:
    return 1


def _two(samples: int, places: int, alternatives: int) -> int:
    return 2


def _as_many_as_samples(samples: int, places: int, alternatives: int) -> int:
    return samples


ENTRIES = (
    # Reparameterization alone: nothing to estimate where every latent is continuous.
    Estimator("pathwise", True, frozenset(), _one, "pathwise", _pathwise),
    Estimator(
        "enumerate",
        True,
        BOTH_MASKS,
        lambda samples, places, alternatives: alternatives**places,
        "nested",
        lambda config: stateless(exact.enumerate_masks),
    ),
    Estimator(
        "local_expectation",
        True,
        BOTH_MASKS,
        lambda samples, places, alternatives: 1 + places * (alternatives - 1),
        "nested",
        lambda config: stateless(exact.local_expectation),
    ),
    Estimator("score", True, BOTH_MASKS, _one, "score", _score),
    Estimator("rloo", True, BOTH_MASKS, _as_many_as_samples, "score", _rloo),
    Estimator("muprop", True, BOTH_MASKS, _two, "nested", lambda config: stateless(score_function.muprop)),
    Estimator(
        "double_cv",
        True,
        BOTH_MASKS,
        _as_many_as_samples,
        "nested",
        lambda config: stateless(score_function.double_cv, samples=at_least(config, "samples", 2)),
    ),
    Estimator("disarm", True, BERNOULLI_MASKS, _two, "nested", lambda config: stateless(score_function.disarm)),
    Estimator("straight_through", False, BOTH_MASKS, _one, "single_pass", _single_pass(relaxed.straight_through)),
    Estimator(
        "gumbel_softmax", False, BOTH_MASKS, _one, "single_pass", _single_pass(relaxed.gumbel_softmax, tempered=True)
    ),
    Estimator("st_gumbel", False, BOTH_MASKS, _one, "single_pass", _single_pass(relaxed.st_gumbel, tempered=True)),
    Estimator(
        "gumbel_rao",
        False,
        CATEGORICAL_MASKS,
        _one,
        "single_pass",
        _single_pass(
            relaxed.gumbel_rao,
            tempered=True,
            options=lambda config: {"conditioned": at_least(config, "conditioned", 1)},
        ),
    ),
    Estimator("reinmax", False, CATEGORICAL_MASKS, _one, "single_pass", _single_pass(relaxed.reinmax)),
)

REGISTRY = {entry.name: entry for entry in ENTRIES}


def build(config, *, mask_kinds: frozenset[str], levels: int = 1, linear: bool = True) -> BoundEstimator:
    """The estimator a config names, checked against the masks of the model that will use it.

    Args:
      config: the section `estimator` of configs/base.py.
      mask_kinds: kinds of mask among the model's latents; empty when all are continuous.
      levels: how many levels of masks depend on one another.
      linear: the model puts a linear layer upon its masked values, and so can give a `SparseReward`.

    Raises:
      ConfigError: the name is unknown, the estimator does not serve such a model, or one of its options does not fit.
    """
    entry = choose(REGISTRY, config.name, "estimator.name")
    model = {"mask_kinds": mask_kinds, "levels": levels, "linear": linear}
    if not entry.serves(**model):
        fitting = ", ".join(sorted(name for name, other in REGISTRY.items() if other.serves(**model))) or "none"
        raise ConfigError("estimator.name", config.name, f"one that serves {_in_words(**model)}: {fitting}")
    return dataclasses.replace(entry.make(config), entry=entry)


def _in_words(*, mask_kinds: frozenset[str], levels: int, linear: bool) -> str:
    if not mask_kinds:
        return "continuous latents"
    of_levels = f" on {levels} levels" if levels > 1 else ""
    return f"{', '.join(sorted(mask_kinds))} masks{of_levels}{'' if linear else ' without a linear layer upon them'}"
