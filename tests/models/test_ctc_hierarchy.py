from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from ctc_jax import gradients
from ctc_jax.data import Batch
from ctc_jax.errors import ConfigError

INFERENCE = ["top_down", "bottom_up"]
FAMILIES = ["gaussian", "ctc_pool", "ctc_relu"]
DRAWS = 2**13


@pytest.fixture(scope="module")
def build(make_model, randomize):
    """A tiny hierarchy and parameters that are nowhere special."""
    made = {}

    def make(**changes):
        case = tuple(sorted(changes.items()))
        if case not in made:
            options = {"width": 3, "blocks": 0, "features": 2, "shape": (2, 2, 1), **changes}
            model = make_model("ctc_hierarchy", **options)
            params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.4)
            # q and p not too far apart: else a few of its samples have nearly all of the weight.
            for name in params:
                if name.startswith(("posteriors", "priors", "top")):
                    params[name] = jax.tree.map(lambda leaf: 0.3 * leaf, params[name])
            made[case] = model, params
        return made[case]

    return make


@pytest.fixture(scope="module")
def one_image():
    return Batch(jnp.asarray([[[[1], [0]], [[1], [1]]]], jnp.uint8), jnp.zeros(1, jnp.int32))


def log_mean(log_weights):
    """Of an importance estimate: its value and its standard error, by the delta method."""
    log_weights = np.asarray(log_weights, np.float64)
    value = logsumexp(log_weights) - np.log(len(log_weights))
    return value, np.std(np.exp(log_weights - value)) / np.sqrt(len(log_weights))


def by_recognition(model, params, batch, draws=DRAWS):
    """log p(x) of one image by importance sampling from q."""

    def weight(key):
        latents, log_q = model.recognize(params, key, batch)
        return (model.log_joint(params, batch, latents) - log_q)[0]

    return log_mean(jax.jit(jax.vmap(weight))(jax.random.split(jax.random.key(1), draws)))


@pytest.mark.parametrize("inference", INFERENCE)
def test_the_likelihood_is_that_of_summing_all_masks_and_integrating_values(build, one_image, inference):
    """One window of four units, a top code of one number: four masks, two integrals by the trapezoid rule."""
    model, params = build(inference=inference)
    grid = np.linspace(-7.0, 7.0, 141)
    top, values = (part.ravel() for part in np.meshgrid(grid, grid, indexing="ij"))

    def prior(top):
        hidden = model.applied(params).apply("expand", 0, model.applied(params).start(top))
        law = model.network.families[0].law(model.applied(params).apply("prior", 0, hidden))
        return law.logits, law.values.loc, law.values.scale

    logits, loc, scale = (np.asarray(part, np.float64)[:, 0] for part in jax.jit(prior)(jnp.asarray(grid[:, None])))
    log_mask = logits - logsumexp(logits, axis=1, keepdims=True)

    def likelihood(top, latent):
        pixels = model.decode(params, {"top": top, "level_1": latent})
        return pixels.log_prob(jnp.broadcast_to(one_image.image, (len(top), *one_image.image.shape[1:])))

    likelihood, cell, terms = jax.jit(likelihood), np.log(grid[1] - grid[0]), []
    for mask in range(4):
        latent = np.zeros((len(top), 1, 4), np.float32)
        # Exactly 0 would be no value of a mask that is on: its density there is that nearby.
        latent[:, 0, mask] = np.where(values == 0, 1e-6, values)
        at = np.repeat(np.arange(len(grid)), len(grid))
        log_prior = log_mask[at, mask] + norm.logpdf(values, loc[at, mask], scale[at, mask]) + norm.logpdf(top)
        terms.append(log_prior + np.asarray(likelihood(jnp.asarray(top[:, None], jnp.float32), latent), np.float64))
    expected = logsumexp(terms) + 2 * cell
    found, error = by_recognition(model, params, one_image)
    assert abs(found - expected) < 4.5 * error + 1e-3
    assert error < 0.05


@pytest.mark.parametrize(
    "changes",
    [
        *({"families": name, "inference": inference} for name in FAMILIES for inference in INFERENCE),
        {"families": "none"},
        {"families": "ctc_pool", "beta": 1.5},
        {"families": "ctc_pool,gaussian", "levels": 2, "shape": (4, 4, 1)},
        {"families": "ctc_relu,ctc_pool", "levels": 2, "shape": (4, 4, 1), "inference": "bottom_up"},
        {"families": "none,ctc_pool", "levels": 2, "shape": (4, 4, 1)},
        {"families": "ctc_pool,none", "levels": 2, "shape": (4, 4, 1), "inference": "bottom_up"},
        {"top": "ctc", "latents": 2, "som_sigma": 1.0},
        {"families": "ctc_pool,ctc_relu", "levels": 2, "shape": (4, 4, 1), "patch": 2},
        {"patch": 2, "inference": "bottom_up"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_the_three_questions_agree(build, one_image, changes):
    """log p(x) from the recognition model and from the prior alone, and the ELBO as the mean of log p(x, z) - log q."""
    model, params = build(**changes)
    image = jnp.asarray(np.resize([1, 0, 1, 1], (1, *model.image_shape)), jnp.uint8)
    batch = Batch(image, one_image.label)

    def from_prior(key):
        _, pixels = model.generate(params, key, 1)
        return pixels.log_prob(image)[0]

    keys = jax.random.split(jax.random.key(2), DRAWS)
    prior, prior_error = log_mean(jax.jit(jax.vmap(from_prior))(keys))
    found, error = by_recognition(model, params, batch)
    assert abs(found - prior) < 4.5 * np.hypot(error, prior_error) + 1e-4
    assert max(error, prior_error) < 0.25

    def both(key):
        terms = model.elbo_terms(params, key, batch)
        latents, log_q = model.recognize(params, key, batch)
        by_parts = terms.log_likelihood - sum(terms.kl.values())
        return by_parts[0], (model.log_joint(params, batch, latents) - log_q)[0]

    by_parts, by_sample = (np.asarray(part, np.float64) for part in jax.jit(jax.vmap(both))(keys))
    difference = by_parts - by_sample
    assert abs(difference.mean()) < 4.5 * difference.std() / np.sqrt(DRAWS) + 1e-4
    assert by_parts.mean() < found


@pytest.mark.parametrize("inference", INFERENCE)
def test_masks_are_in_log_q(build, one_image, inference):
    """log q of a draw is that of its masks, and of the values they select."""
    model, params = build(inference=inference)

    def parts(key):
        latents, log_q, log_masks = model.recognize_masks(params, key, one_image)
        return latents["level_1"], log_q, log_masks, model.mask_probs(params, key, one_image)["level_1"]

    for key in jax.random.split(jax.random.key(5), 4):
        latent, log_q, log_masks, probs = jax.jit(parts)(key)
        chosen = np.asarray(latent)[0, 0] != 0
        assert chosen.sum() == 1
        np.testing.assert_allclose(log_masks[0], np.log(np.asarray(probs)[0, 0][chosen][0]), rtol=1e-4)
        assert log_q[0] != log_masks[0]


@pytest.mark.parametrize("families", ["ctc_pool", "ctc_relu"])
def test_what_masks_cost_is_their_part_of_the_kl(build, one_image, families):
    """Its mean over draws is that of KL(q(m) || p(m)), whatever the top code: what is left is the values' KL."""
    model, params = build(families=families)

    def both(key):
        chain = model.chain(params, one_image)
        law, _ = chain.law(chain.start(), 0)
        carry = chain.advance(chain.start(), 0, None, law.draw_values(key))
        prior = model.applied(params).apply("prior", 0, carry[1])
        q = chain.law(carry, 1)[0].alternatives()
        p = model.network.families[0].law(prior).alternatives()
        return model.mask_price(params, key, one_image)["level_1"][0], jnp.sum(q * jnp.log(q / p))

    drawn, exact = (
        np.asarray(of, np.float64) for of in jax.jit(jax.vmap(both))(jax.random.split(jax.random.key(8), DRAWS))
    )
    assert exact.mean() > 1e-3
    assert abs(drawn.mean() - exact.mean()) < 4.5 * np.sqrt((drawn.var() + exact.var()) / DRAWS)


@pytest.mark.parametrize(
    ("families", "inference"), [("ctc_pool", "top_down"), ("ctc_relu", "top_down"), ("ctc_pool", "bottom_up")]
)
def test_gradients_by_samples_have_the_mean_of_enumeration(build, one_image, families, inference):
    """Through the networks, in every parameter: the masks of one level summed, values and top code drawn."""
    model, params = build(families=families, inference=inference)

    def gradient(name):
        options = {"samples": 3} if name == "rloo" else {}
        estimator = gradients.REGISTRY[name](**options)

        def bound(params, key):
            terms = replace(model, estimator=estimator).elbo_terms(params, key, one_image)
            return jnp.sum(terms.log_likelihood - sum(terms.kl.values()))

        return jax.jit(jax.vmap(jax.grad(bound), in_axes=(None, 0)))

    found = gradient("rloo")(params, jax.random.split(jax.random.key(6), DRAWS))
    expected = gradient("enumerate")(params, jax.random.split(jax.random.key(7), DRAWS))
    scores = []
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        one, other = (np.asarray(leaf, np.float64).reshape(DRAWS, -1) for leaf in (one, other))
        error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / DRAWS)
        scores.append((one.mean(axis=0) - other.mean(axis=0)) / (error + 1e-6))
    assert np.abs(np.concatenate(scores)).max() < 4.7  # of some hundred coordinates


def test_masks_of_one_image_may_be_given_the_values_of_another(build, one_image):
    """Latents drawn from the prior below those given: the same top code, and the same level where it is given."""
    model, params = build(levels=2, shape=(4, 4, 1))
    latents, _ = jax.jit(model.generate, static_argnums=2)(params, jax.random.key(0), 2)
    below = jax.jit(model.generate_below)
    fixed, _ = below(params, jax.random.key(1), {"top": latents["top"], "level_2": latents["level_2"]})
    np.testing.assert_array_equal(fixed["level_2"], latents["level_2"])
    assert (np.asarray(fixed["level_1"]) != np.asarray(latents["level_1"])).any()
    again, pixels = below(params, jax.random.key(9), latents)
    np.testing.assert_array_equal(again["level_1"], latents["level_1"])
    np.testing.assert_allclose(pixels.mean, jax.jit(model.decode)(params, latents).mean, rtol=1e-5)


def test_only_logits_come_with_masks(build):
    """Between two families nothing else of the network differs."""

    def sizes(**changes):
        leaves = jax.tree_util.tree_leaves_with_path(build(**changes)[1])
        return {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}

    gaussian, pool, relu = (sizes(families=name) for name in FAMILIES)
    assert pool == relu
    assert pool.keys() - gaussian.keys() == {name for name in pool if "'logits'" in name}
    assert gaussian.items() <= pool.items()
    assert sizes(families="ctc_pool", beta=1.5) == gaussian


def test_in_patches_features_are_coarse_and_units_are_not(build):
    """An image in patches of 2: nothing is computed at its own resolution, and level 1 still has a unit a pixel."""
    network = build(families="ctc_pool,ctc_relu", levels=2, shape=(8, 4, 1), patch=2)[0].network
    assert [network.feature_shape(level) for level in range(3)] == [(4, 2), (2, 1), (2, 1)]
    assert [network.unit_shape(level)[:2] for level in range(2)] == [(8, 4), (4, 2)]
    plain = build(families="ctc_pool,ctc_relu", levels=2, shape=(8, 4, 1))[0].network
    assert [plain.feature_shape(level) for level in range(3)] == [(8, 4), (4, 2), (2, 1)]


@pytest.mark.parametrize("inference", INFERENCE)
def test_values_start_where_they_are_told_to_and_q_beside_the_prior(make_model, one_image, inference):
    """Whatever the features: kernels are 0 here. So the KL of a level is 0 at the start, and not that of N(0, 1)."""
    changes = {"value_loc": 1.5, "value_scale": 0.4, "shape": (2, 2, 1), "inference": inference}
    model = make_model("ctc_hierarchy", **changes)
    params = jax.jit(model.init)(jax.random.key(0))
    biases = jax.tree_util.tree_map_with_path(lambda path, leaf: leaf * (path[-1].key == "bias"), params)
    latents, _ = model.generate(biases, jax.random.key(0), 1)
    prior = model.applied(biases).descend(latents)[1]["level_1"].values
    np.testing.assert_allclose(prior.loc, 1.5)
    np.testing.assert_allclose(prior.scale, 0.4, rtol=1e-6)
    chain = model.chain(biases, one_image)
    carry = chain.start()
    if inference == "top_down":
        law, _ = chain.law(carry, 0)
        carry = chain.advance(carry, 0, None, law.values.mean)
    law, _ = chain.law(carry, chain.names.index("level_1"))
    np.testing.assert_allclose(law.values.loc, prior.loc)
    np.testing.assert_allclose(law.values.scale, prior.scale, rtol=1e-6)


def test_sizes_and_levels_of_masks(build):
    model, _ = build(levels=2, shape=(4, 4, 1), families="ctc_relu,ctc_pool")
    assert (model.mask_levels, model.mask_sizes) == (2, {"level_1": (16, 2), "level_2": (1, 4)})
    assert model.mask_kinds == {"bernoulli", "categorical"}
    assert list(model.mask_latents.items()) == [("level_1", "bernoulli"), ("level_2", "categorical")]
    assert build(families="gaussian")[0].mask_kinds == frozenset()
    top, _ = build(top="ctc", latents=2, som_sigma=1.0)
    assert (top.mask_levels, top.mask_sizes) == (2, {"level_1": (1, 4), "top": (2, 3)})


def test_a_latent_says_where_it_belongs(build, one_image):
    model, params = build(levels=2, shape=(4, 4, 1), families="none,ctc_pool")
    batch = Batch(jnp.zeros((1, 4, 4, 1), jnp.uint8), one_image.label)
    latents, _ = jax.eval_shape(model.recognize, params, jax.random.key(0), batch)
    means = jax.eval_shape(model.posterior_means, params, batch)
    assert latents["level_2"].shape == (1, 1, 4)
    assert {name: mean.shape for name, mean in means.items()} == {"top": (1, 1), "level_2": (1, 4)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"families": "ctc_pol"}, r"model\.families is 'ctc_pol'.*did you mean ctc_pool"),
        ({"families": "ctc_pool,gaussian"}, r"model\.families is 'ctc_pool,gaussian'; allowed: one name, or 1 with"),
        ({"inference": "sideways"}, r"model\.inference is 'sideways'; allowed"),
        ({"top": "categorical"}, r"model\.top is 'categorical'; allowed"),
        ({"channels": 0}, r"model\.channels is 0; allowed: 1 or more"),
        ({"beta": float("inf")}, r"model\.beta is inf; allowed: 0 \(free logits\) or more"),
        ({"value_loc": float("nan")}, r"model\.value_loc is nan; allowed: a finite number"),
        ({"value_scale": 0.0}, r"model\.value_scale is 0\.0; allowed: above 0"),
        ({"beta": -1.0}, r"model\.beta is -1\.0; allowed"),
        ({"levels": 2}, r"model\.levels is 2; allowed: 1 to 1"),
        ({"patch": 4}, r"model\.patch is 4; allowed: a power of 2 up to 2\*\*model\.levels, 2"),
        ({"patch": 0}, r"model\.patch is 0; allowed"),
        ({"som_sigma": 1.0}, r"model\.som_sigma is 1\.0; allowed: 0, or model\.top=ctc"),
        ({"top": "ctc", "categories": 1}, r"model\.categories is 1; allowed: 2 or more"),
    ],
)
def test_what_does_not_fit_is_refused(make_model, changes, words):
    with pytest.raises(ConfigError, match=words):
        make_model("ctc_hierarchy", **changes)
