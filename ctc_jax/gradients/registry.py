"""Gradient estimators by name, and what each can serve. Tests: tests/gradients/test_registry.py."""

import dataclasses

from ctc_jax.errors import ConfigError, choose
from ctc_jax.gradients import (
    baselines,
    daps,
    dirichlet_copula,
    exact,
    low_rank,
    pathwise_baseline,
    relaxed,
    relaxed_control,
    sampled_flips,
    score_function,
    stick_breaking,
)
from ctc_jax.gradients.binding import (
    at_least,
    learned,
    learned_score,
    score_family,
    single_pass,
    stateless,
    without_masks,
)
from ctc_jax.gradients.estimator import BoundEstimator, Estimator
from ctc_jax.gradients.options import (
    DIAGONAL_FLIPS,
    SINGLE_FLIPS,
    decay,
    diagonal,
    first_temperature,
    flips,
    policy,
    second_order,
    several_samples,
    width,
)

BERNOULLI, CATEGORICAL = frozenset({"bernoulli"}), frozenset({"categorical"})
BOTH, NONE = BERNOULLI | CATEGORICAL, frozenset()


def rewards(count: int):
    """So many, whatever the masks."""
    return lambda config, places, alternatives: count


def per_sample(config, places: int, alternatives: int) -> int:
    """One for each mask drawn."""
    return config.samples


def per_flip(own: int):
    """One for each mask drawn and for each of its sampled flips, `own` of them unless the config has a number."""
    return lambda config, places, alternatives: config.samples * (1 + (config.flips or own))


def per_entry(config, places: int, alternatives: int) -> int:
    """One for a mask, and one for each of its flips."""
    return 1 + places * (alternatives - 1)


ENTRIES = (
    # Reparameterization alone: nothing to estimate where every latent is continuous.
    Estimator("pathwise", True, NONE, rewards(1), "pathwise", without_masks),
    Estimator(
        "enumerate",
        True,
        BOTH,
        lambda config, places, alternatives: alternatives**places,
        "nested",
        stateless(exact.enumerate_masks),
    ),
    Estimator(
        "local_expectation",
        True,
        BOTH,
        per_entry,
        "nested",
        stateless(exact.local_expectation),
    ),
    Estimator(
        "low_rank_local_expectation",
        True,
        BOTH,
        per_entry,
        "nested",
        stateless(low_rank.low_rank_local_expectation),
        needs="sparse_reward",
    ),
    Estimator(
        "single_flips",
        True,
        BOTH,
        per_flip(SINGLE_FLIPS),
        "nested",
        stateless(sampled_flips.single_flips, flips(SINGLE_FLIPS, 2)),
        needs="sparse_reward",
    ),
    Estimator(
        "diagonal_flips",
        True,
        BOTH,
        per_flip(DIAGONAL_FLIPS),
        "nested",
        stateless(sampled_flips.diagonal_flips, diagonal),
        needs="sparse_reward",
    ),
    Estimator("score", True, BOTH, rewards(1), "score", score_family(score_function.combine_plainly)),
    Estimator(
        "score_moving_average",
        True,
        BOTH,
        rewards(1),
        "score",
        learned_score(baselines.combine_with_moving_average, baselines.init_moving_average, options=decay),
        learned="a moving average of the reward",
    ),
    Estimator(
        "nvil",
        True,
        BOTH,
        rewards(1),
        "score",
        learned_score(baselines.combine_nvil, baselines.init_nvil, options=decay, init_options=width),
        learned="a baseline of the input, and a moving average of what it leaves",
    ),
    Estimator(
        "rloo",
        True,
        BOTH,
        per_sample,
        "score",
        score_family(score_function.combine_leaving_one_out, several=True),
    ),
    Estimator("muprop", True, BOTH, rewards(2), "nested", stateless(score_function.muprop)),
    Estimator("double_cv", True, BOTH, per_sample, "nested", stateless(score_function.double_cv, several_samples)),
    Estimator("disarm", True, BERNOULLI, rewards(2), "nested", stateless(score_function.disarm)),
    Estimator("arms", True, BERNOULLI, per_sample, "nested", stateless(dirichlet_copula.arms, several_samples)),
    Estimator(
        "disarm_stick_breaking",
        True,
        CATEGORICAL,
        rewards(2),
        "nested",
        stateless(stick_breaking.disarm_stick_breaking),
    ),
    Estimator(
        "rebar",
        True,
        BOTH,
        rewards(3),
        "nested",
        learned(relaxed_control.rebar, relaxed_control.init_rebar, init_options=first_temperature),
        learned="temperature and weight of the control variate",
    ),
    Estimator(
        "relax",
        True,
        BOTH,
        rewards(3),
        "nested",
        learned(
            relaxed_control.relax,
            relaxed_control.init_relax,
            init_options=lambda config: {**first_temperature(config), **width(config)},
        ),
        learned="temperature and weight of the control variate, and a network within it",
    ),
    Estimator("straight_through", False, BOTH, rewards(1), "single_pass", single_pass(relaxed.straight_through)),
    Estimator(
        "gumbel_softmax", False, BOTH, rewards(1), "single_pass", single_pass(relaxed.gumbel_softmax, tempered=True)
    ),
    Estimator("st_gumbel", False, BOTH, rewards(1), "single_pass", single_pass(relaxed.st_gumbel, tempered=True)),
    Estimator(
        "gumbel_rao",
        False,
        CATEGORICAL,
        rewards(1),
        "single_pass",
        single_pass(relaxed.gumbel_rao, tempered=True, options=at_least("conditioned", 1)),
    ),
    Estimator(
        "reinmax",
        False,
        BOTH,
        rewards(1),
        "single_pass",
        single_pass(relaxed.reinmax, tempered=True, options=second_order),
    ),
    Estimator(
        "daps",
        False,
        CATEGORICAL,
        per_sample,
        "score",
        score_family(daps.combine_weighted, several=True, options=policy),
    ),
    Estimator(
        "source_baseline",
        False,
        BOTH,
        rewards(1),
        "nested",
        learned(pathwise_baseline.source_baseline, pathwise_baseline.init_published, options=decay, init_options=width),
        learned="a baseline of the input on dr/dx, and a moving average of its effect",
        needs="sparse_reward",
        values_alone=True,
    ),
    Estimator(
        "source_baseline_unbiased",
        True,
        BOTH,
        per_sample,
        "nested",
        learned(
            pathwise_baseline.source_baseline_unbiased,
            pathwise_baseline.init_baseline,
            options=several_samples,
            init_options=width,
        ),
        learned="a baseline of the input on dr/dx",
        needs="sparse_reward",
    ),
)

REGISTRY = {entry.name: entry for entry in ENTRIES}


def build(
    config, *, mask_kinds: frozenset[str], levels: int = 1, linear: bool = True, values: bool = True
) -> BoundEstimator:
    """The estimator a config names, checked against the masks of the model that will use it.

    Args:
      config: the section `estimator` of configs/base.py.
      mask_kinds: kinds of mask among the model's latents; empty when all are continuous.
      levels: how many levels of masks depend on one another.
      linear: the model puts a linear layer upon its masked values, and so can give a `SparseReward`.
      values: its masks multiply values; without, they are the latents themselves.

    Raises:
      ConfigError: the name is unknown, the estimator does not serve such a model, or one of its options does not fit.
    """
    entry = choose(REGISTRY, config.name, "estimator.name")
    model = {"mask_kinds": mask_kinds, "levels": levels, "linear": linear, "values": values}
    if not entry.serves(**model):
        fitting = ", ".join(sorted(name for name, other in REGISTRY.items() if other.serves(**model))) or "none"
        raise ConfigError("estimator.name", config.name, f"one that serves {_in_words(**model)}: {fitting}")
    return dataclasses.replace(entry.make(config), entry=entry)


def _in_words(*, mask_kinds: frozenset[str], levels: int, linear: bool, values: bool) -> str:
    if not mask_kinds:
        return "continuous latents"
    of_levels = f" on {levels} levels" if levels > 1 else ""
    without = [word for word, there in (("values", values), ("a linear layer upon them", linear)) if not there]
    return f"{', '.join(sorted(mask_kinds))} masks{of_levels}{' without ' + ' and '.join(without) if without else ''}"
