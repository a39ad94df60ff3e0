import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from ctc_jax import gradients
from ctc_jax.errors import ConfigError
from ctc_jax.gradients import BERNOULLI, CATEGORICAL, exact, relaxed, score_function

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
        ("rloo", "samples", 1, "2 or more with estimator.name rloo"),
        ("double_cv", "samples", 1, "2 or more with estimator.name double_cv"),
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


BUILT = {
    "enumerate": (exact.enumerate_masks, {}),
    "local_expectation": (exact.local_expectation, {}),
    "score": (score_function.score, {}),
    "rloo": (score_function.rloo, {"samples": 3}),
    "muprop": (score_function.muprop, {}),
    "double_cv": (score_function.double_cv, {"samples": 3}),
    "disarm": (score_function.disarm, {}),
    "straight_through": (relaxed.straight_through, {}),
    "gumbel_softmax": (relaxed.gumbel_softmax, {"temperature": 0.5}),
    "st_gumbel": (relaxed.st_gumbel, {"temperature": 0.5}),
    "gumbel_rao": (relaxed.gumbel_rao, {"temperature": 0.5, "conditioned": 3}),
    "reinmax": (relaxed.reinmax, {}),
}


@pytest.mark.parametrize("name", BUILT)
def test_what_is_built_is_the_function_with_the_options_of_the_config(name):
    function, options = BUILT[name]
    bound = gradients.build(
        named(name, samples=3, temperature=2.0, temperature_end=0.5, temperature_steps=10, conditioned=3),
        mask_kinds=gradients.REGISTRY[name].mask_kinds,
    )
    kind = BERNOULLI if name == "disarm" else CATEGORICAL
    logits = jax.random.normal(jax.random.key(0), (2, 2, 3))

    def reward(masks):
        return jnp.sum(jnp.tanh(masks), axis=(1, 2)) ** 2

    def gradient(estimator, **options):
        return jax.jit(
            jax.grad(lambda at: estimator(jax.random.key(1), at, reward, kind=kind, **options).surrogate.sum())
        )(logits)

    assert bound.init(jax.random.key(2), (2, 3), 0) == {}
    np.testing.assert_allclose(gradient(bound, step=20), gradient(function, **options), rtol=1e-5, atol=1e-7)
    if bound.entry.family == "single_pass":
        by_mask = jax.grad(lambda at: reward(bound.mask(jax.random.key(1), at, kind=kind)).sum())(logits)
        np.testing.assert_allclose(by_mask, gradient(bound), rtol=1e-5, atol=1e-7)
    if "temperature" in options:
        at_start = gradient(function, **{**options, "temperature": 2.0})
        np.testing.assert_allclose(gradient(bound, step=jnp.int32(0)), at_start, rtol=1e-5, atol=1e-7)


def test_a_score_estimator_combines_rewards_as_it_does_its_own():
    logits = jax.random.normal(jax.random.key(0), (2, 4))
    bound = gradients.build(named("rloo", samples=3), mask_kinds=KINDS[0])

    def reward(masks):
        return jnp.sum(masks, axis=1) ** 2

    def combined(logits):
        draws = score_function.draw(jax.random.key(1), logits, reward, kind=BERNOULLI, samples=bound.samples)
        return bound.combine(*draws).surrogate.sum()

    whole = jax.grad(lambda at: bound(jax.random.key(1), at, reward, kind=BERNOULLI).surrogate.sum())(logits)
    np.testing.assert_allclose(jax.grad(combined)(logits), whole, rtol=1e-6)


def test_a_built_estimator_refuses_another_kind_of_mask():
    bound = gradients.build(named("disarm"), mask_kinds=KINDS[0])
    with pytest.raises(ValueError, match=r"^estimator disarm: categorical masks; allowed: bernoulli$"):
        bound(jax.random.key(0), jnp.zeros((1, 2)), lambda masks: masks[:, 0], kind=CATEGORICAL)
