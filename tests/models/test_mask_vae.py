import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from scipy.special import log_softmax, logsumexp

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.gradients import Enumerate, GumbelSoftmax, ReinMax
from ctc_jax.models import Schedule
from ctc_jax.models.walk import known_kl
from ctc_jax.objectives import importance_weighted_bound
from tests.models.conftest import assert_same_mean, weights_and_bounds

LATENTS = {  # a single mask where a value is integrated over
    "bernoulli": {"latent": "bernoulli", "latents": 3},
    "categorical": {"latent": "categorical", "latents": 2, "categories": 3},
    "bernoulli_ctc": {"latent": "bernoulli_ctc", "latents": 1},
    "ctc": {"latent": "ctc", "latents": 1, "categories": 3},
    "relu": {"latent": "relu", "latents": 1, "beta": 1.5},
    "lwta": {"latent": "lwta", "latents": 1, "categories": 3, "beta": 1.5},
}
TIED = ("relu", "lwta")
VALUED = ("bernoulli_ctc", "ctc", *TIED)
GRID = np.linspace(-8.0, 8.0, 801)
DRAWS = 4096


@pytest.fixture(scope="module")
def build(make_model, randomize):
    """A tiny model and parameters that are nowhere special, by the name of its latent."""
    made = {}

    def make(name, **changes):
        case = (name, *sorted(changes.items(), key=str))
        if case not in made:
            options = {"prior": "learned", "estimator": Enumerate(), **LATENTS[name], **changes}
            model = make_model("mask_vae", **options)
            params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.3)
            # q near p: else a few of its samples have nearly all of the weight.
            scale = 0.2 if name in VALUED else 0.5
            params["posterior"] = jax.tree.map(lambda leaf: scale * leaf, params["posterior"])
            made[case] = model, params
        return made[case]

    return make


def every_mask(name):
    """[masks, *shape of a latent]."""
    options = LATENTS[name]
    choices = np.eye(options["categories"]) if "categories" in options else [0.0, 1.0]
    return np.array(list(itertools.product(choices, repeat=options["latents"])), np.float32)


def prior_of(name, params):
    """Log-probability of each mask, and location and scale of each value, from the parameters."""
    parts = np.split(np.asarray(params["prior_law"], np.float64), 1 + 2 * (name in VALUED) - (name in TIED))
    masks = every_mask(name)
    logits = LATENTS[name]["beta"] * parts[0] if name in TIED else parts[0]
    if "categories" in LATENTS[name]:
        log_probs = (masks * log_softmax(logits.reshape(masks.shape[1:]), axis=-1)).sum((1, 2))
    else:
        log_probs = stats.bernoulli.logpmf(masks, 1 / (1 + np.exp(-logits))).sum(1)
    return log_probs, (parts[-2], np.exp(parts[-1])) if name in VALUED else None


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
    score = jax.jit(lambda z: model.decode(params, {"z": Masked(z)}).log_prob(batch.image[:, None]))
    log_likelihood = np.asarray(score(latents), np.float64)
    return logsumexp(log_likelihood + log_mass, axis=1)


@pytest.fixture(scope="module")
def drawn(build, binary_images):
    """Weights and bounds for many keys, by the name of the latent."""
    found = {}

    def of(name):
        if name not in found:
            keys = jax.random.split(jax.random.key(1), DRAWS)
            found[name] = jax.device_get(weights_and_bounds(*build(name), keys, binary_images))
        return found[name]

    return of


@pytest.mark.parametrize("name", LATENTS)
def test_the_importance_weighted_bound_tends_to_the_enumerated_evidence(build, drawn, binary_images, name):
    log_evidence = log_evidence_of(name, *build(name), binary_images)
    np.testing.assert_allclose(np.exp(log_evidence).sum(), 1.0, rtol=1e-4)
    weights = np.float64(drawn(name)["log_weight"])
    assert_same_mean(np.exp(weights - log_evidence), 1.0)
    bounds = [importance_weighted_bound(jnp.asarray(weights.T.reshape(16, -1, k))).mean() for k in (1, 8, 64)]
    assert all(np.diff([*bounds, log_evidence.mean()]) > 0)
    np.testing.assert_allclose(weights, drawn(name)["by_joint"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["categorical", "ctc"])
def test_generated_images_have_the_enumerated_frequencies(build, binary_images, name):
    model, params = build(name)
    count, p = 20_000, np.exp(log_evidence_of(name, model, params, binary_images))
    images = jax.jit(lambda key: model.generate(params, key, count)[1].sample(jax.random.key(3)))(jax.random.key(2))
    numbers = np.asarray(images).reshape(count, 4) @ [8, 4, 2, 1]
    frequencies = np.bincount(numbers, minlength=16) / count
    np.testing.assert_array_less(np.abs(frequencies - p), 4.5 * np.sqrt(p * (1 - p) / count))


@pytest.mark.parametrize("name", LATENTS)
def test_the_bound_in_parts_is_the_sampled_bound_on_average(drawn, name):
    bound = drawn(name)["bound"]
    assert_same_mean(bound.log_likelihood - bound.kl["z"] - drawn(name)["log_weight"], 0.0)
    assert np.ptp(bound.kl["z"], axis=0).max() < 1e-5  # analytic: no noise


@pytest.mark.parametrize("name", LATENTS)
def test_enumerating_gives_the_gradient_of_the_enumerated_bound(build, binary_images, name):
    model, params = build(name)
    if name in VALUED:  # values at their locations, nearly: their noise is then no part of the comparison
        of_scales = model.network.latent.units
        shift = jnp.zeros_like(params["posterior"]["bias"]).at[-of_scales:].set(-50.0)
        params = {**params, "posterior": {**params["posterior"], "bias": params["posterior"]["bias"] + shift}}

    def sampled(params):
        bound = model.bound(params, jax.random.key(5), binary_images)
        return jnp.mean(bound.log_likelihood - bound.kl["z"])

    def exact(params):
        """sum_m q(m) [log p(x | m mu)] - KL, with the KL's own value from the model."""
        network = model.bound_network(params)
        prior = network.prior_of("z", 16)
        posterior = network.posterior_of("z", network.encode(binary_images), 16, prior, None)
        values = jnp.ones_like(posterior.logits) if posterior.values is None else posterior.values.loc
        total = 0.0
        for mask in every_mask(name):
            mask = jnp.broadcast_to(mask, (16, *mask.shape))
            log_q = posterior.mask_log_prob(mask)
            total += jnp.exp(log_q) * model.decode(params, {"z": Masked(values, mask)}).log_prob(binary_images.image)
        return jnp.mean(total - known_kl(posterior, prior))

    both = jax.jit(lambda params: [jax.value_and_grad(of)(params) for of in (sampled, exact)])
    (value, gradient), (expected, slope) = both(params)
    tolerance = 2e-2 if name in VALUED else 1e-4
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(slope), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * max(1e-2, float(np.abs(b).max())))


def test_inference_draws_hard_masks_where_the_estimator_relaxes_them(build, binary_images):
    """What is reported is at masks of 0 and 1, whatever training looks at."""
    model, params = build("bernoulli")
    relaxed = replace(model, estimator=GumbelSoftmax(temperature=3.0, temperature_end=3.0))

    @jax.jit
    @jax.vmap
    def log_likelihoods(key):
        bound = relaxed.bound(params, key, binary_images)
        return relaxed.infer(params, key, binary_images).log_likelihood.mean(), bound.log_likelihood.mean()

    hard, soft = map(np.asarray, log_likelihoods(jax.random.split(jax.random.key(6), DRAWS)))
    exact = np.asarray(jax.jit(model.bound)(params, jax.random.key(0), binary_images).log_likelihood).mean()
    assert_same_mean(hard, exact)
    assert abs(soft.mean() - exact) > 10 * soft.std() / np.sqrt(DRAWS)


def test_a_centered_model_sees_pixels_less_their_mean_and_signs_in_place_of_masks(make_model, randomize):
    mean = (0.1, 0.2, 0.3, 0.4)
    model = make_model("mask_vae", latents=2, blocks=0, centered=True, features=1, mean=mean)
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    images = np.random.default_rng(0).integers(0, 2, (3, 2, 2, 1)).astype(np.uint8)
    trace = jax.jit(model.infer)(params, None, Batch(jnp.asarray(images), jnp.zeros(3, jnp.int32)))
    dense = params["posterior"]
    logits = (images.reshape(3, 4) - mean) @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    np.testing.assert_allclose(trace.latents["z"].product, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    masks = every_mask("bernoulli")[:4, 1:]
    network = model.bound_network(params)
    direct = network.pixels((2 * masks - 1) @ params["first"]["kernel"] + params["first"]["bias"][None])
    np.testing.assert_allclose(model.decode(params, {"z": Masked(jnp.asarray(masks))}).mean, direct.mean, rtol=1e-5)
    # A mean image that nobody knows is half of the highest level.
    unknown = make_model("mask_vae", latents=2, blocks=0, centered=True, features=1)
    assert unknown.network.mean_image == (0.5,) * 4


def test_pixels_are_decoded_from_flat_codes_as_from_shaped_ones(build):
    model, params = build("ctc")
    latents = np.random.default_rng(0).standard_normal((5, 1, 3), np.float32)
    mean = jax.jit(lambda z: model.decode(params, {"z": Masked(z)}).mean)
    np.testing.assert_array_equal(mean(latents), mean(latents.reshape(5, 3)))


def test_pooling_follows_the_step_and_leaves_the_generative_model(build, binary_images):
    plain, params = build("ctc")
    pooled, _ = build("ctc", som_sigma=2.0, som_sigma_steps=10)

    def kl(model):
        def at(step):
            return model.bound(params, jax.random.key(8), binary_images, schedule=Schedule(step=step)).kl["z"]

        return jax.jit(at)

    without, at = kl(plain)(None), kl(pooled)
    np.testing.assert_allclose(at(jnp.asarray(10)), without, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(at(None), without, rtol=1e-4, atol=1e-5)
    assert np.abs(at(jnp.asarray(0)) - without).max() > 0.01
    mask = jnp.zeros((16, 1, 3)).at[:, 0, 1].set(1.0)
    latents = {"z": Masked(0.7 * jnp.ones_like(mask), mask)}
    joint = [np.asarray(jax.jit(model.joint)(params, binary_images, latents).total) for model in (plain, pooled)]
    np.testing.assert_array_equal(*joint)


def test_hidden_layers_narrow_toward_the_masks_and_widen_after_them(make_model):
    model = make_model("mask_vae", latents=5, width=8, blocks=2, narrowing=2, features=1)
    params = jax.eval_shape(model.init, jax.random.key(0))
    shapes = [params[name]["kernel"].shape for name in ("down_0", "down_1", "posterior", "first", "up_0", "up_1")]
    assert shapes == [(4, 8), (8, 4), (4, 5), (5, 4), (4, 8), (8, 4)]
    assert "prior_law" not in params


@pytest.mark.slow
def test_local_winner_take_all_is_trained_towards_its_deterministic_limit(make_model, binary_images):
    """Some steps raise the bound; and the larger beta, the nearer is a draw to the largest location of its block."""
    model = make_model("mask_vae", latent="lwta", latents=3, categories=2, beta=1.0, estimator=ReinMax())
    batch = jax.tree.map(lambda leaf: leaf[:4], binary_images)
    optimizer = optax.adam(0.03)

    @jax.jit
    def train(key):
        params = model.init(key)

        def step(carry, key):
            params, state = carry

            def loss(params):
                bound = model.bound(params, key, batch)
                return -jnp.mean(bound.log_likelihood - bound.kl["z"])

            value, gradient = jax.value_and_grad(loss)(params)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), value

        (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(key, 150))
        return params, losses

    params, losses = train(jax.random.key(0))
    assert losses[-30:].mean() < losses[:10].mean() - 0.3

    shares = []
    for beta in (0.1, 1.0, 1e4):
        tied = make_model("mask_vae", latent="lwta", latents=3, categories=2, beta=beta)

        @jax.jit
        @jax.vmap
        def draws(key, model=tied):
            site = model.infer(params, key, batch).sites["z"]
            wins = jax.nn.one_hot(jnp.argmax(site.posterior.values.loc, axis=-1), 2)
            return jnp.mean(jnp.sum(site.draw.mask * wins, axis=-1))

        shares.append(float(draws(jax.random.split(jax.random.key(1), 256)).mean()))
    assert 0.45 < shares[0] < shares[1] < shares[2] == 1.0
