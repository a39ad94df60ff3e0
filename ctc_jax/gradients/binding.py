"""From an estimator's function and the section `estimator` of a config to one ready for use.

Each of these gives a `make` of an `Estimator`. Tests: tests/gradients/test_registry.py.
"""

from collections.abc import Callable
from typing import Any

from ctc_jax.errors import ConfigError
from ctc_jax.gradients import temperature
from ctc_jax.gradients.estimator import BoundEstimator, nothing_learned
from ctc_jax.gradients.relaxed import SinglePass
from ctc_jax.gradients.score_function import draw

Make = Callable[[Any], BoundEstimator]
Options = Callable[[Any], dict]


def at_least(key: str, minimum: int) -> Options:
    """The option of that name, a whole number.

    Raises:
      ConfigError: when read from a config in which it is below its minimum.
    """

    def read(config) -> dict:
        if config[key] < minimum:
            raise ConfigError(f"estimator.{key}", config[key], f"{minimum} or more with estimator.name {config.name}")
        return {key: config[key]}

    return read


def no_options(config) -> dict:
    """Of an estimator that has none."""
    del config
    return {}


def without_masks(config) -> BoundEstimator:
    """Of a model in which there is nothing to estimate."""
    del config

    def estimate(key, logits, reward, *, kind, params=None, context=None, step=None):
        raise ValueError("estimator pathwise: there are masks; allowed: continuous latents alone")

    return BoundEstimator(estimate)


def stateless(function: Callable, options: Options = no_options) -> Make:
    """Of a function `(key, logits, reward, *, kind, **options)`."""

    def make(config) -> BoundEstimator:
        fixed = options(config)

        def estimate(key, logits, reward, *, kind, params=None, context=None, step=None):
            del params, context, step
            return function(key, logits, reward, kind=kind, **fixed)

        return BoundEstimator(estimate)

    return make


def learned(function: Callable, init: Callable, options: Options = no_options, init_options: Options = no_options):
    """Of a function `(key, logits, reward, *, kind, params, context, **options)` and its init with options."""

    def make(config) -> BoundEstimator:
        fixed, of_init = options(config), init_options(config)

        def estimate(key, logits, reward, *, kind, params=None, context=None, step=None):
            del step
            return function(key, logits, reward, kind=kind, params=params, context=context, **fixed)

        return BoundEstimator(estimate, init=lambda *shapes: init(*shapes, **of_init))

    return make


def score_family(function: Callable, *, several: bool = False, options: Options = no_options) -> Make:
    """Of a function `(rewards, log_masks, **options)` that combines samples: `several` of them or one."""

    def with_parameters(rewards, log_masks, *, params, context, **fixed):
        del params, context
        return function(rewards, log_masks, **fixed)

    return learned_score(with_parameters, nothing_learned, several=several, options=options)


def learned_score(
    function: Callable,
    init: Callable,
    *,
    several: bool = False,
    options: Options = no_options,
    init_options: Options = no_options,
) -> Make:
    """Of a function `(rewards, log_masks, *, params, context, **options)` and its init with options."""

    def make(config) -> BoundEstimator:
        fixed, of_init = options(config), init_options(config)
        samples = at_least("samples", 2)(config)["samples"] if several else 1

        def combine(rewards, log_masks, *, params=None, context=None):
            return function(rewards, log_masks, params=params, context=context, **fixed)

        def estimate(key, logits, reward, *, kind, params=None, context=None, step=None):
            del step
            draws = draw(key, logits, reward, kind=kind, samples=samples)
            return combine(*draws, params=params, context=context)

        return BoundEstimator(estimate, init=lambda *shapes: init(*shapes, **of_init), combine=combine, samples=samples)

    return make


def single_pass(function: SinglePass, *, tempered: bool = False, options: Options = no_options) -> Make:
    """Of a mask with its gradient, whose temperature follows a schedule where it is `tempered`."""

    def make(config) -> BoundEstimator:
        schedule, fixed = temperature.build(config) if tempered else None, options(config)

        def mask(key, logits, *, kind, step=None):
            at_step = {"temperature": schedule(step)} if tempered else {}
            return function.mask(key, logits, kind=kind, **at_step, **fixed)

        def estimate(key, logits, reward, *, kind, params=None, context=None, step=None):
            del params, context
            at_step = {"temperature": schedule(step)} if tempered else {}
            return function(key, logits, reward, kind=kind, **at_step, **fixed)

        return BoundEstimator(estimate, mask=mask)

    return make
