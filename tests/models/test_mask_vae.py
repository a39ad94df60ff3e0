import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax, logsumexp

from ctc_jax import gradients
from ctc_jax.data import Batch
from ctc_jax.models import at_hard_masks
from ctc_jax.objectives import importance_weighted_bound, log_weights

LATENTS = {  # places: a single one where a value is integrated over
    "bernoulli": {"latent": "bernoulli", "latents": 3},
    "categorical": {"latent": "categorical", "latents": 2, "categories": 3},
    "bernoulli_ctc": {"latent": "bernoulli_ctc", "latents": 1},
    "ctc": {"latent": "ctc", "latents": 1, "categories": 3},
}
GRID = np.linspace(-8.0, 8.0, 801)
DRAWS = 4096


@pytest.fixture(scope="module")
def build(make_model, randomize):
    """A tiny model and parameters that are nowhere special, by the name of its latent."""
    made = {}

    def make(name, **changes):
        case = (name, *sorted(changes.items()))
        if case not in made:
            model = make_model("mask_vae", **{"prior": "learned", **LATENTS[name], **changes})
            params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.5)
            # Values of q near those of p: else a few of its samples have nearly all of the weight.
            scale = 0.2 if "ctc" in name else 1.0
            params["posterior"] = jax.tree.map(lambda leaf: scale * leaf, params["posterior"])
            made[case] = model, params
        return made[case]

    return make


def bind(model, name, **options):
    estimator = gradients.REGISTRY[name](**options)
    assert not estimator.refuses(model.mask_sites)
    return replace(model, estimator=estimator)


def every_mask(name):
    """[masks, *shape of a latent]."""
    options = LATENTS[name]
    choices = np.eye(options["categories"]) if "categories" in options else [0.0, 1.0]
    return np.array(list(itertools.product(choices, repeat=options["latents"])), np.float32)


def prior_of(name, params):
    """Log-probability of each mask, and location and scale of each value, from the parameters."""
    options, valued = LATENTS[name], "ctc" in name
    parts = np.split(np.asarray(params["prior_law"], np.float64), 3 if valued else 1)
    masks = every_mask(name)
    if "categories" in options:
        logits = parts[0].reshape(masks.shape[1:])
        log_probs = (masks * log_softmax(logits, axis=-1)).sum((1, 2))
    else:
        log_probs = stats.bernoulli.logpmf(masks, 1 / (1 + np.exp(-parts[0]))).sum(1)
    return log_probs, (parts[1], np.exp(parts[2])) if valued else None


def support(name, params):
    """Every latent, on a grid where it has a value, and its log prior mass: [n, *shape], [n]."""
    log_probs, values = prior_of(name, params)
    masks = every_mask(name)
    if values is None:
        return masks, log_probs
    latents, log_mass = [], []
    for mask, log_prob in zip(masks, log_probs, strict=True):
        on = np.flatnonzero(mask)
        if not len(on):
            latents.append(mask[None])
            log_mass.append([log_prob])
            continue
        latents.append(mask[None] * GRID.reshape(-1, *(1,) * mask.ndim))
        density = stats.norm.logpdf(GRID, values[0][on[0]], values[1][on[0]])
        log_mass.append(log_prob + density + np.log(GRID[1] - GRID[0]))
    return np.concatenate(latents).astype(np.float32), np.concatenate(log_mass)


def log_evidence_of(name, model, params, batch):
    """log p(x) of each image, by sums over masks and quadrature over values."""
    latents, log_mass = support(name, params)
    score = jax.jit(lambda z: model.decode(params, {"z": z}).log_prob(batch.image[:, None]))
    log_likelihood = np.asarray(score(latents), np.float64)
    return logsumexp(log_likelihood + log_mass, axis=1)


def assert_same_mean(samples, expected, errors=4.5):
    """The mean over the leading axis is `expected` within Monte Carlo error."""
    error = np.std(samples, axis=0, dtype=np.float64) / np.sqrt(len(samples))
    np.testing.assert_array_less(np.abs(np.mean(samples, axis=0, dtype=np.float64) - expected), errors * error + 1e-5)


@pytest.mark.parametrize("name", LATENTS)
def test_the_importance_weighted_bound_tends_to_the_enumerated_evidence(build, binary_images, name):
    model, params = build(name)
    log_evidence = log_evidence_of(name, model, params, binary_images)
    np.testing.assert_allclose(np.exp(log_evidence).sum(), 1.0, rtol=1e-4)
    keys = jax.random.split(jax.random.key(1), (16, DRAWS))
    weights = np.asarray(jax.jit(log_weights, static_argnums=0)(model, params, keys, binary_images), np.float64)
    relative = np.exp(weights - log_evidence[:, None])
    assert_same_mean(relative.T, 1.0)
    bounds = [importance_weighted_bound(jnp.asarray(weights.reshape(16, -1, k))).mean() for k in (1, 8, 64)]
    assert all(np.diff([*bounds, log_evidence.mean()]) > 0)


@pytest.mark.parametrize("name", ["categorical", "ctc"])
def test_generated_images_have_the_enumerated_frequencies(build, binary_images, name):
    model, params = build(name)
    count, p = 20_000, np.exp(log_evidence_of(name, model, params, binary_images))
    images = jax.jit(lambda key: model.generate(params, key, count)[1].sample(jax.random.key(3)))(jax.random.key(2))
    numbers = np.asarray(images).reshape(count, 4) @ [8, 4, 2, 1]
    frequencies = np.bincount(numbers, minlength=16) / count
    np.testing.assert_array_less(np.abs(frequencies - p), 4.5 * np.sqrt(p * (1 - p) / count))


@pytest.mark.parametrize("name", LATENTS)
def test_the_bound_in_parts_is_the_sampled_bound_on_average(build, binary_images, name):
    model, params = build(name)

    @jax.jit
    @jax.vmap
    def one(key):
        latents, log_q = model.recognize(params, key, binary_images)
        terms = model.elbo_terms(params, jax.random.fold_in(key, 1), binary_images)
        return terms, model.log_joint(params, binary_images, latents) - log_q

    terms, log_weight = jax.device_get(one(jax.random.split(jax.random.key(4), DRAWS)))
    elbo = terms.log_likelihood - terms.kl["z"]
    assert_same_mean(elbo - log_weight, 0.0)
    assert np.ptp(terms.kl["z"], axis=0).max() < 1e-5  # analytic: no noise


@pytest.mark.parametrize("name", LATENTS)
def test_enumerating_gives_the_gradient_of_the_enumerated_bound(build, binary_images, name):
    model, params = build(name)
    if "ctc" in name:  # values at their locations, nearly: their noise is then no part of the comparison
        entries = len(params["posterior"]["bias"]) // 3
        shift = jnp.zeros(3 * entries).at[2 * entries :].set(-50.0)
        params = {**params, "posterior": {**params["posterior"], "bias": params["posterior"]["bias"] + shift}}

    def sampled(params):
        terms = bind(model, "enumerate").elbo_terms(params, jax.random.key(5), binary_images)
        return jnp.mean(terms.log_likelihood - terms.kl["z"])

    def exact(params):
        """sum_m q(m) [log p(x | m mu)] - KL, with the KL's own value from the model."""
        posterior = model._posterior(params, binary_images)
        values = 1.0 if posterior.values is None else posterior.values.loc
        total = 0.0
        for mask in every_mask(name):
            mask = jnp.broadcast_to(mask, (16, *mask.shape))
            log_q = posterior.kind.total_log_prob(posterior.logits, mask)
            total += jnp.exp(log_q) * model.decode(params, {"z": mask * values}).log_prob(binary_images.image)
        return jnp.mean(total - posterior.kl(model._prior(params, 16)))

    (value, gradient), (expected, slope) = (jax.jit(jax.value_and_grad(of))(params) for of in (sampled, exact))
    tolerance = 2e-2 if "ctc" in name else 1e-4
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(slope), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * max(1e-2, float(np.abs(b).max())))


def test_the_bound_is_scored_at_hard_masks_where_the_estimator_relaxes_them(build, binary_images):
    model, params = build("bernoulli")
    keys = jax.random.split(jax.random.key(6), DRAWS)

    def log_likelihoods(model):
        one = jax.vmap(lambda key: model.elbo_terms(params, key, binary_images).log_likelihood.mean())
        return np.asarray(jax.jit(one)(keys))

    relaxed = bind(model, "gumbel_softmax", temperature=3.0)
    exact = np.asarray(jax.jit(bind(model, "enumerate").elbo_terms)(params, keys[0], binary_images).log_likelihood)
    assert_same_mean(log_likelihoods(at_hard_masks(relaxed)), exact.mean())
    soft = log_likelihoods(relaxed)
    assert abs(soft.mean() - exact.mean()) > 10 * soft.std() / np.sqrt(DRAWS)


def test_a_centered_model_sees_pixels_less_their_mean_and_signs_in_place_of_masks(make_model, randomize):
    model = make_model("mask_vae", latents=2, blocks=0, centered=True, features=1)
    model = replace(model, network=replace_mean(model.network, (0.1, 0.2, 0.3, 0.4)))
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    images = np.random.default_rng(0).integers(0, 2, (3, 2, 2, 1)).astype(np.uint8)
    means = model.posterior_means(params, Batch(jnp.asarray(images), jnp.zeros(3, jnp.int32)))["z"]
    dense = params["posterior"]
    logits = (images.reshape(3, 4) - [0.1, 0.2, 0.3, 0.4]) @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    np.testing.assert_allclose(means, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    masks = every_mask("bernoulli")[:4, 1:]
    direct = model.network.apply(
        {"params": params},
        (2 * masks - 1) @ params["first"]["kernel"] + params["first"]["bias"][None],
        method="rest",
    )
    np.testing.assert_allclose(model.decode(params, {"z": jnp.asarray(masks)}).mean, direct.mean, rtol=1e-5)


def replace_mean(network, mean_image):
    return network.clone(mean_image=mean_image)


def test_pixels_are_decoded_from_flat_codes_as_from_shaped_ones(build):
    model, params = build("ctc")
    latents = np.random.default_rng(0).standard_normal((5, 1, 3), np.float32)
    mean = jax.jit(lambda z: model.decode(params, {"z": z}).mean)
    np.testing.assert_array_equal(mean(latents), mean(latents.reshape(5, 3)))


def test_pooling_follows_the_step_and_leaves_the_generative_model(build, binary_images):
    plain, params = build("ctc")
    pooled, _ = build("ctc", som_sigma=2.0, som_sigma_steps=10)

    def kl(model):
        return jax.jit(lambda step: model.elbo_terms(params, jax.random.key(8), binary_images, None, step).kl["z"])

    without, at = kl(plain)(None), kl(pooled)
    np.testing.assert_allclose(at(jnp.asarray(10)), without, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(at(None), without, rtol=1e-4, atol=1e-5)
    assert np.abs(at(jnp.asarray(0)) - without).max() > 0.01
    latents = {"z": jnp.zeros((16, 1, 3)).at[:, 0, 1].set(0.7)}
    joint = [np.asarray(jax.jit(model.log_joint)(params, binary_images, latents)) for model in (plain, pooled)]
    np.testing.assert_array_equal(*joint)


def test_hidden_layers_narrow_toward_the_masks_and_widen_after_them(make_model):
    model = make_model("mask_vae", latents=5, width=8, blocks=2, narrowing=2, features=1)
    params = jax.eval_shape(model.init, jax.random.key(0))
    shapes = [params[name]["kernel"].shape for name in ("down_0", "down_1", "posterior", "first", "up_0", "up_1")]
    assert shapes == [(4, 8), (8, 4), (4, 5), (5, 4), (4, 8), (8, 4)]
    assert "prior_law" not in params
