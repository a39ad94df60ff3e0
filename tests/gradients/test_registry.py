import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from ctc_jax import gradients
from ctc_jax.errors import ConfigError
from ctc_jax.gradients import (
    BERNOULLI,
    CATEGORICAL,
    dirichlet_copula,
    exact,
    relaxed,
    sampled_flips,
    score_function,
    stick_breaking,
)
from tests.gradients import conftest

KINDS = [frozenset({"bernoulli"}), frozenset({"categorical"})]


def named(name, **changes):
    config = base.get_config().estimator
    config.update({"name": name, **changes})
    return config


def test_every_entry_states_its_own_name():
    assert all(entry.name == name for name, entry in gradients.REGISTRY.items())


def test_pathwise_serves_a_model_without_masks_and_it_alone():
    assert gradients.build(named("pathwise"), mask_kinds=frozenset()).entry is gradients.REGISTRY["pathwise"]
    with pytest.raises(ConfigError, match=r"is 'rloo'; allowed: one that serves continuous latents: pathwise$"):
        gradients.build(named("rloo"), mask_kinds=frozenset())


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_pathwise_is_refused_where_there_are_masks(kind):
    with pytest.raises(ConfigError, match=rf"^config\.estimator\.name is 'pathwise'; allowed: one that serves {kind} "):
        gradients.build(named("pathwise"), mask_kinds=frozenset({kind}))


@pytest.mark.parametrize("name", gradients.REGISTRY)
@pytest.mark.parametrize("kinds", [*KINDS, KINDS[0] | KINDS[1]], ids="-".join)
def test_an_estimator_is_taken_where_it_serves_the_masks_and_else_those_that_do_are_named(name, kinds):
    entry = gradients.REGISTRY[name]
    if kinds <= entry.mask_kinds:
        assert gradients.build(named(name), mask_kinds=kinds).entry is entry
    else:
        fitting = ", ".join(sorted(other.name for other in gradients.REGISTRY.values() if kinds <= other.mask_kinds))
        with pytest.raises(ConfigError, match=rf"one that serves {', '.join(sorted(kinds))} masks: {fitting}$"):
            gradients.build(named(name), mask_kinds=kinds)


@pytest.mark.parametrize("name", ["enumerate", "muprop", "disarm"])
def test_several_rewards_at_one_place_end_at_two_levels(name):
    gradients.build(named(name), mask_kinds=KINDS[0], levels=2)
    with pytest.raises(ConfigError, match=r"one that serves bernoulli masks on 3 levels: .*rloo") as refused:
        gradients.build(named(name), mask_kinds=KINDS[0], levels=3)
    assert name not in refused.value.allowed


@pytest.mark.parametrize("name", ["score", "rloo", "straight_through", "gumbel_softmax"])
def test_score_and_single_pass_estimators_serve_any_depth(name):
    assert gradients.build(named(name), mask_kinds=KINDS[0], levels=7).entry.name == name


def test_unknown_name_is_one_line_that_names_the_key():
    with pytest.raises(ConfigError, match=r"^config\.estimator\.name is 'pathwize'; .*\(did you mean pathwise\?\)$"):
        gradients.build(named("pathwize"), mask_kinds=frozenset())


@pytest.mark.parametrize(
    ("name", "key", "value", "allowed"),
    [
        ("single_flips", "samples", 0, "1 or more with estimator.name single_flips"),
        ("diagonal_flips", "samples", 0, "1 or more with estimator.name diagonal_flips"),
        ("rloo", "samples", 1, "2 or more with estimator.name rloo"),
        ("double_cv", "samples", 1, "2 or more with estimator.name double_cv"),
        ("daps", "samples", 1, "2 or more with estimator.name daps"),
        ("source_baseline_unbiased", "samples", 1, "2 or more with estimator.name source_baseline_unbiased"),
        ("nvil", "decay", 1.0, "0 to below 1"),
        ("reinmax", "second_order", 1.5, "0 (straight-through) to 1 (ReinMax)"),
        ("nvil", "baseline_width", 0, "1 or more with estimator.name nvil"),
        ("relax", "temperature", -0.5, "a number above 0"),
        ("daps", "trust_region", 0.0, "a number above 0"),
        ("daps", "entropy", -1.0, "0 or more"),
        ("gumbel_rao", "conditioned", 0, "1 or more with estimator.name gumbel_rao"),
        ("gumbel_softmax", "temperature", 0.0, "a number above 0"),
        ("st_gumbel", "temperature", float("nan"), "a number above 0"),
        ("gumbel_rao", "temperature_end", -1.0, "a number above 0"),
        ("st_gumbel", "temperature_steps", -1, "0 (constant) or more"),
    ],
)
def test_an_option_out_of_its_range_is_refused_when_built(name, key, value, allowed):
    with pytest.raises(ConfigError) as refused:
        gradients.build(named(name, **{key: value}), mask_kinds=KINDS[1])
    assert str(refused.value) == f"config.estimator.{key} is {value!r}; allowed: {allowed}"


def test_one_sample_of_a_binary_estimator_is_refused_when_built():
    with pytest.raises(ConfigError, match=r"^config\.estimator\.samples is 1; allowed: 2 or more with .* arms$"):
        gradients.build(named("arms", samples=1), mask_kinds=KINDS[0])


def test_an_estimator_that_needs_a_linear_layer_is_refused_where_there_is_none():
    gradients.build(named("source_baseline"), mask_kinds=KINDS[1])
    with pytest.raises(ConfigError, match=r"categorical masks without a linear layer upon them: .*rloo") as refused:
        gradients.build(named("source_baseline"), mask_kinds=KINDS[1], linear=False)
    assert "source_baseline" not in refused.value.allowed


def test_an_estimator_that_reaches_values_alone_is_refused_where_there_are_none():
    gradients.build(named("source_baseline"), mask_kinds=KINDS[1])
    with pytest.raises(ConfigError, match=r"categorical masks without values: .*rloo") as refused:
        gradients.build(named("source_baseline"), mask_kinds=KINDS[1], values=False)
    assert "source_baseline," not in refused.value.allowed


def test_rewards_are_those_of_the_table():
    table = {"enumerate": 125, "local_expectation": 13, "score": 1, "rloo": 4, "rebar": 3, "arms": 4, "disarm": 2}
    table |= {"single_flips": 4 * 17, "diagonal_flips": 4 * 3, "low_rank_local_expectation": 13}
    assert {name: gradients.REGISTRY[name].rewards(named(name, samples=4), 3, 5) for name in table} == table


def test_rewards_of_nested_levels_multiply_and_others_are_of_whole_models():
    sizes = [(3, 5), (2, 4)]
    counts = {name: gradients.REGISTRY[name].rewards_in_all(named(name, samples=4), sizes) for name in IN_ALL}
    assert counts == IN_ALL


IN_ALL = {"local_expectation": 13 * 7, "enumerate": 5**3 * 4**2, "double_cv": 16, "rloo": 4, "reinmax": 1}


def test_rewards_of_flips_are_those_asked_for():
    assert gradients.REGISTRY["single_flips"].rewards(named("single_flips", samples=3, flips=8), 3, 5) == 27


BUILT = {
    "single_flips": (sampled_flips.single_flips, {"samples": 3, "flips": 5}),
    "diagonal_flips": (sampled_flips.diagonal_flips, {"samples": 3, "flips": 5, "control_values": False}),
    "enumerate": (exact.enumerate_masks, {}),
    "local_expectation": (exact.local_expectation, {}),
    "score": (score_function.score, {}),
    "rloo": (score_function.rloo, {"samples": 3}),
    "muprop": (score_function.muprop, {}),
    "double_cv": (score_function.double_cv, {"samples": 3}),
    "disarm": (score_function.disarm, {}),
    "arms": (dirichlet_copula.arms, {"samples": 3}),
    "disarm_stick_breaking": (stick_breaking.disarm_stick_breaking, {}),
    "straight_through": (relaxed.straight_through, {}),
    "gumbel_softmax": (relaxed.gumbel_softmax, {"temperature": 0.5}),
    "st_gumbel": (relaxed.st_gumbel, {"temperature": 0.5}),
    "gumbel_rao": (relaxed.gumbel_rao, {"temperature": 0.5, "conditioned": 3}),
    "reinmax": (relaxed.reinmax, {"temperature": 0.5, "second_order": 0.75}),
}


@pytest.mark.parametrize("name", BUILT)
def test_what_is_built_is_the_function_with_the_options_of_the_config(name):
    """By gradients in the logits and the values, for which options differ."""
    function, options = BUILT[name]
    changes = {"samples": 3, "temperature": 2.0, "temperature_end": 0.5, "temperature_steps": 10, "conditioned": 3}
    bound = gradients.build(
        named(name, **changes, flips=5, control_values=False, second_order=0.75),
        mask_kinds=gradients.REGISTRY[name].mask_kinds,
    )
    kind = CATEGORICAL if "categorical" in bound.entry.mask_kinds else BERNOULLI
    problem = conftest.build(kind.name, (2, 2, 3) if kind is CATEGORICAL else (2, 4), "values")

    def gradient(estimator, **options):
        def surrogate(logits, weights):
            reward = conftest.sparse(weights, logits)
            return estimator(jax.random.key(1), logits, reward, kind=kind, **options).surrogate.sum()

        by_logits, by_weights = conftest.gradient(surrogate, (0, 1))(problem.logits, problem.weights)
        return np.concatenate([by_logits.ravel(), by_weights["values"].ravel()])

    assert bound.init(jax.random.key(2), (2, 3), 0) == {}
    np.testing.assert_allclose(gradient(bound, step=20), gradient(function, **options), rtol=1e-5, atol=1e-6)
    if bound.entry.family == "single_pass":
        reward = conftest.sparse(problem.weights, problem.logits)
        by_mask = conftest.gradient(lambda at: reward(bound.mask(jax.random.key(1), at, kind=kind)).sum())
        by_function = gradient(bound)[: problem.logits.size].reshape(problem.logits.shape)
        np.testing.assert_allclose(by_mask(problem.logits), by_function, rtol=1e-5, atol=1e-6)
    if "temperature" in options:
        at_start = gradient(function, **{**options, "temperature": 2.0})
        np.testing.assert_allclose(gradient(bound, step=jnp.int32(0)), at_start, rtol=1e-5, atol=1e-6)


def test_a_score_estimator_combines_rewards_as_it_does_its_own():
    logits = jax.random.normal(jax.random.key(0), (2, 4))
    bound = gradients.build(named("rloo", samples=3), mask_kinds=KINDS[0])

    def reward(masks):
        return jnp.sum(masks, axis=1) ** 2

    def combined(logits):
        draws = score_function.draw(jax.random.key(1), logits, reward, kind=BERNOULLI, samples=bound.samples)
        return bound.combine(*draws).surrogate.sum()

    whole = conftest.gradient(lambda at: bound(jax.random.key(1), at, reward, kind=BERNOULLI).surrogate.sum())(logits)
    np.testing.assert_allclose(conftest.gradient(combined)(logits), whole, rtol=1e-6)


def test_a_built_estimator_refuses_another_kind_of_mask():
    bound = gradients.build(named("disarm"), mask_kinds=KINDS[0])
    with pytest.raises(ValueError, match=r"^estimator disarm: categorical masks; allowed: bernoulli$"):
        bound(jax.random.key(0), jnp.zeros((1, 2)), lambda masks: masks[:, 0], kind=CATEGORICAL)


LEARNED = [name for name, entry in gradients.REGISTRY.items() if entry.learned]


@pytest.mark.parametrize("name", LEARNED)
def test_a_built_estimator_that_learns_asks_for_its_parameters_and_for_its_reward(name):
    problem = conftest.build("bernoulli", (2, 4), "values")
    bound, params, context = conftest.learned(name, problem)
    if bound.entry.needs:
        with pytest.raises(TypeError, match=rf"^estimator {name}: reward is a function; allowed: a SparseReward$"):
            bound(jax.random.key(0), problem.logits, lambda masks: masks[:, 0], kind=BERNOULLI, params=params)
    reward = conftest.sparse(problem.weights, problem.logits)
    with pytest.raises(ValueError, match=rf"^estimator {name}: params is None; allowed: what its init gives$"):
        bound(jax.random.key(0), problem.logits, reward, kind=BERNOULLI, context=context)


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_has_a_gradient_in_every_parameter_and_none_in_the_features_of_the_input(name):
    problem = conftest.build("bernoulli", (2, 4), "values")
    bound, params, context = conftest.learned(name, problem)

    def surrogate(params, context, key):
        reward = conftest.sparse(problem.weights, problem.logits)
        return bound(key, problem.logits, reward, kind=BERNOULLI, params=params, context=context).surrogate.sum()

    both = conftest.jax.jit(jax.vmap(jax.grad(surrogate, argnums=(0, 1)), in_axes=(None, None, 0)))
    by_params, by_context = both(params, context, jax.random.split(jax.random.key(0), 8))
    np.testing.assert_array_equal(by_context, 0.0)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(by_params))


def test_a_width_and_a_first_temperature_come_from_the_config():
    bound = gradients.build(named("relax", baseline_width=7, temperature=0.25), mask_kinds=KINDS[0])
    params = bound.init(jax.random.key(0), (3, 2), 5)
    assert params["network"]["hidden"]["kernel"].shape == (3 * 2 + 5, 7)
    np.testing.assert_allclose(jnp.exp(params["log_temperature"]), 0.25, rtol=1e-6)
