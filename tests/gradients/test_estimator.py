from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.gradients import BERNOULLI, CATEGORICAL, REGISTRY, RELAX, RLOO, DisARM, Nested, Pathwise, Score, SinglePass
from tests.gradients.conftest import build, gradient, learned, options_of, site, sparse

LEARNED = [name for name, part in REGISTRY.items() if part.learned]


def test_every_estimator_is_final_under_one_base():
    for part in REGISTRY.values():
        assert part is Pathwise or sum(issubclass(part, base) for base in (SinglePass, Score, Nested)) == 1
        assert not part.__subclasses__()
        assert not part.__abstractmethods__


def test_an_estimator_serves_masks_of_its_kinds_alone():
    for part in REGISTRY.values():
        for kind in (BERNOULLI, CATEGORICAL):
            refused = part.refuses((site(kind.name),))
            assert refused == ("" if kind in part.kinds else f"{kind.name} masks")
        assert part.refuses(()) == ("" if part is Pathwise else "continuous latents")


def test_several_rewards_at_one_place_end_at_two_levels():
    for part in REGISTRY.values():
        kind = next(iter(part.kinds), BERNOULLI).name
        refused = part.refuses((site(kind),) * 7)
        assert refused == (f"{kind} masks" if part is Pathwise else "masks on 7 levels" if part.most_levels else "")
        assert (part.most_levels == 2) == issubclass(part, Nested)
        if part is not Pathwise:
            assert not part.refuses((site(kind),) * 2)


def test_what_is_needed_of_a_latent_is_asked_for():
    for name, part in REGISTRY.items():
        kind = next(iter(part.kinds), BERNOULLI).name
        flat, valueless = (part.refuses((site(kind, **facts),)) for facts in ({"linear": False}, {"valued": False}))
        assert (flat == "masks without a linear layer upon them") == part.needs_sparse_reward
        assert (valueless == "masks without values") == (name == "source_baseline")


def test_rewards_are_those_of_the_table():
    table = {"enumerate": 125, "local_expectation": 13, "score": 1, "rloo": 4, "rebar": 3, "arms": 4, "disarm": 2}
    table |= {"single_flips": 4 * 17, "diagonal_flips": 4 * 3, "low_rank_local_expectation": 13, "muprop": 2}
    table |= {"daps": 4, "reinmax": 1, "source_baseline": 1, "source_baseline_unbiased": 4, "double_cv": 4}
    table |= {"reinmax_rao": 1, "reinmax_cv": 1, "rodeo": 4, "carms": 4}
    for name, rewards in table.items():
        part = REGISTRY[name]
        samples = {"samples": 4} if "samples" in options_of(part) else {}
        assert part(**samples).rewards(site()) == rewards, name
    assert REGISTRY["single_flips"](samples=3, flips=8).rewards(site()) == 27
    assert REGISTRY["enumerate"]().rewards(site("bernoulli")) == 8


def test_rewards_of_nested_levels_multiply_and_others_are_of_whole_models():
    sites = (site(), site(masks=2, categories=4))
    expected = {"local_expectation": 13 * 7, "enumerate": 5**3 * 4**2, "double_cv": 4, "rloo": 2, "reinmax": 1}
    assert {name: REGISTRY[name]().rewards_in_all(sites) for name in expected} == expected


def test_a_score_estimator_combines_rewards_as_it_does_its_own():
    logits, rloo = jax.random.normal(jax.random.key(0), (2, 4)), RLOO(samples=3)

    def reward(masks):
        return jnp.sum(masks, axis=1) ** 2

    def combined(logits):
        masks = BERNOULLI.sample(jax.random.key(1), logits, rloo.samples)
        log_masks = jnp.stack([BERNOULLI.total_log_prob(logits, mask) for mask in masks])
        return rloo.combine(jnp.stack([reward(mask) for mask in masks]), log_masks).surrogate.sum()

    whole = gradient(lambda at: rloo(jax.random.key(1), at, reward, kind=BERNOULLI).surrogate.sum())(logits)
    np.testing.assert_allclose(gradient(combined)(logits), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, part in REGISTRY.items() if issubclass(part, SinglePass)])
def test_the_mask_of_a_single_pass_carries_the_gradient_of_a_call(name):
    """At the end of a schedule and at its start, which differ where there is one."""
    part, problem = REGISTRY[name], build("categorical", (2, 2, 3), "values")
    tempered = "temperature" in options_of(part)
    estimator = part(**({"temperature": 2.0, "temperature_end": 0.5, "temperature_steps": 10} if tempered else {}))

    def reward(masks):
        return problem.reward(problem.weights, masks)

    def by_mask(logits, step):
        return reward(estimator.mask(jax.random.key(1), logits, kind=problem.kind, step=step)).sum()

    def by_call(estimator, logits, step):
        return estimator(jax.random.key(1), logits, reward, kind=problem.kind, step=step).surrogate.sum()

    @jax.jit
    def all_of(logits):
        steps = (None, jnp.int32(0), jnp.int32(20))
        cold = jax.grad(partial(by_call, part(temperature=0.5) if tempered else estimator))(logits, None)
        calls = [jax.grad(partial(by_call, estimator))(logits, step) for step in steps]
        return cold, calls, [jax.grad(by_mask)(logits, step) for step in steps]

    cold, calls, masks = all_of(problem.logits)
    np.testing.assert_allclose(masks, calls, rtol=1e-5, atol=1e-6)
    for at_end in (calls[2], cold):
        np.testing.assert_allclose(calls[0], at_end, rtol=1e-5, atol=1e-6)
    assert (np.abs(calls[0] - calls[1]).max() > 1e-3) == tempered


def test_another_kind_of_mask_is_refused():
    with pytest.raises(ValueError, match=r"^DisARM: categorical masks; allowed: bernoulli$"):
        DisARM()(jax.random.key(0), jnp.zeros((1, 2)), lambda masks: masks[:, 0], kind=CATEGORICAL)
    with pytest.raises(ValueError, match=r"^Pathwise: bernoulli masks; allowed: continuous latents alone$"):
        Pathwise()(jax.random.key(0), jnp.zeros((1, 2)), lambda masks: masks[:, 0], kind=BERNOULLI)


def test_one_that_learns_asks_for_its_parameters_and_for_its_reward():
    problem = build("bernoulli", (2, 4), "values")
    for name in LEARNED:
        estimator, params, context = learned(name, problem)
        words = type(estimator).__name__
        if estimator.needs_sparse_reward:
            with pytest.raises(TypeError, match=rf"^{words}: reward is a function; allowed: a SparseReward$"):
                estimator(jax.random.key(0), problem.logits, lambda masks: masks[:, 0], kind=BERNOULLI, params=params)
        reward = sparse(problem.weights, problem.logits)
        with pytest.raises(ValueError, match=rf"^{words}: params is None; allowed: what its init gives$"):
            estimator(jax.random.key(0), problem.logits, reward, kind=BERNOULLI, context=context)


def test_only_one_that_learns_has_parameters():
    for name, part in REGISTRY.items():
        assert bool(part().init(jax.random.key(0), (2, 3), 2)) == (name in LEARNED)


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_has_a_gradient_in_every_parameter_and_none_in_the_features_of_the_input(name):
    problem = build("bernoulli", (2, 4), "values")
    estimator, params, context = learned(name, problem)

    def surrogate(params, context, key):
        reward = sparse(problem.weights, problem.logits)
        return estimator(key, problem.logits, reward, kind=BERNOULLI, params=params, context=context).surrogate.sum()

    both = jax.jit(jax.vmap(jax.grad(surrogate, argnums=(0, 1)), in_axes=(None, None, 0)))
    by_params, by_context = both(params, context, jax.random.split(jax.random.key(0), 8))
    np.testing.assert_array_equal(by_context, 0.0)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(by_params))


def test_a_width_and_a_first_temperature_are_those_of_the_parameters():
    params = RELAX(width=7, temperature=0.25).init(jax.random.key(0), (3, 2), 5)
    assert params["network"]["hidden"]["kernel"].shape == (3 * 2 + 5, 7)
    np.testing.assert_allclose(jnp.exp(params["log_temperature"]), 0.25, rtol=1e-6)
