"""Masks by Gibbs sweeps, in chains and in annealing, against models whose masks are few enough to be summed."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from blackjax.diagnostics import effective_sample_size
from scipy import stats
from scipy.special import logsumexp, softmax

from ctc_jax.data import Batch
from ctc_jax.distributions import BERNOULLI, CATEGORICAL, MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.inference import HMC, MALA, AnnealingOptions, Descent, InferenceOptions, annealed, bracketed, infer
from ctc_jax.inference.annealing import tuned_steps
from ctc_jax.inference.gibbs import sweep, visits
from ctc_jax.inference.point import Point, joint_of
from ctc_jax.models.chain import Observed
from tests import toys

NOISE = 0.6
WINDOWS = 2


class Windows(toys.Chain):
    """x = W (m * s) + noise, two windows of m; given its masks a Gaussian. The posterior is sure of the wrong masks."""

    kind, masks, valued = CATEGORICAL, 3, 3

    def __init_subclass__(cls):
        shape = (WINDOWS,) if cls.kind == BERNOULLI else (WINDOWS, cls.masks)
        cls.mask_sites = (MaskSite("z", cls.kind, shape, cls.valued > 0),)

    @classmethod
    def values_shape(cls):
        return cls.mask_sites[0].shape[:1] + ((cls.valued,) if cls.kind == CATEGORICAL else ())

    def law(self, count, logits):
        values = None
        if self.valued:
            loc, scale = (self.params[name] for name in ("loc", "scale"))
            values = dist.Normal(*(jnp.broadcast_to(of[None], (count, *of.shape)) for of in (loc, scale)))
        return MaskedDistribution(self.kind, jnp.broadcast_to(logits[None], (count, *logits.shape)), values)

    def prior_of(self, name, hidden):
        return self.law(hidden, self.params["logits"])

    def posterior_of(self, name, features, hidden, prior, step):
        return self.law(len(features.image), -30.0 * self.params["truth"])

    def advance(self, name, hidden, latent):
        return latent.product.reshape(len(latent.value), -1)

    def pixels(self, hidden):
        loc = (hidden @ self.params["weights"].T).reshape(-1, 2, 2, 1)
        return dist.Normal(loc, NOISE).to_event(3)


class CTC(Windows):
    """Two windows of three alternatives."""


class Off(Windows):
    """Two windows of two alternatives and an off state."""

    masks, valued = 3, 2


class Gates(Windows):
    """Two gates."""

    kind, valued = BERNOULLI, 1


class Masks(Windows):
    """Two one-hot masks alone."""

    valued = 0


CHAINS = [CTC, Off, Gates, Masks]


def problem(chain, images=3):
    """The model's parameters, a batch drawn from it with its latents, and by mask log p(x, m)."""
    random = np.random.default_rng(5)
    shape = chain.mask_sites[0].shape
    values_shape = chain.values_shape() if chain.valued else shape
    size = int(np.prod(values_shape))
    params = {
        "logits": 0.7 * random.normal(size=shape),
        "loc": 0.5 * random.normal(size=values_shape),
        "scale": random.uniform(0.7, 1.3, size=values_shape),
        "weights": random.normal(size=(4, size)),
        "truth": np.zeros(shape),
    }
    params = jax.tree.map(lambda of: jnp.asarray(of, jnp.float32), params)
    model = toys.model(chain)
    latents, pixels = model.generate(params, jax.random.key(11), images)
    x = pixels.sample(jax.random.key(12))
    # The recognition model rules the masks out that the first image has.
    params["truth"] = latents["z"].mask[0]
    return model, params, Batch(x, jnp.zeros(images, jnp.int32)), latents, by_mask(chain, params, np.asarray(x))


def by_mask(chain, params, x):
    """log p(x, m) of every m, `[masks, images]`, and the masks."""
    every = np.asarray(chain.kind.every(params["logits"][None]))[:, 0]
    params = jax.tree.map(np.float64, params)
    if chain.kind == BERNOULLI:
        log_mask = (every * params["logits"] - np.logaddexp(0, params["logits"])).sum(axis=1)
    else:
        log_mask = (every * (params["logits"] - logsumexp(params["logits"], axis=-1, keepdims=True))).sum(axis=(1, 2))
    found = []
    for mask, log_p in zip(every, log_mask, strict=True):
        if chain.valued:
            shown = mask if chain.kind == BERNOULLI else mask[:, : chain.valued]
            mean = (shown * params["loc"]).reshape(-1)
            variance = (shown * params["scale"] ** 2).reshape(-1)
        else:
            mean, variance = mask.reshape(-1), np.zeros(mask.size)
        weights = params["weights"]
        covariance = weights * variance @ weights.T + NOISE**2 * np.eye(4)
        found.append(log_p + stats.multivariate_normal.logpdf(x.reshape(-1, 4), weights @ mean, covariance))
    return np.stack(found), every


def options(**changes):
    return AnnealingOptions(**{"chains": 1024, "temperatures": 12, "leapfrogs": 4, "step_size": 0.4, **changes})


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(("chain", "windows"), [(CTC, 0), slow(Off, 1), slow(Gates, 0), (Masks, 1)])
def test_weights_of_forward_chains_have_the_mean_of_the_evidence(chain, windows):
    model, params, batch, _, (joint, _) = problem(chain)
    short = options(windows=windows)
    steps = tuned_steps(model, params, jax.random.key(0), batch, short)
    found = annealed(model, params, jax.random.key(1), batch, short, steps)
    weights = np.exp(np.float64(found.log_weights) - logsumexp(joint, axis=0))
    error = weights.std(axis=0) / np.sqrt(len(weights))
    assert 1e-3 < error.max() < 0.15
    assert np.abs((weights.mean(axis=0) - 1.0) / error).max() < 4.0
    if not chain.valued:
        np.testing.assert_array_equal(steps, np.float32(0.4))
        np.testing.assert_allclose(found.acceptance, 1.0, rtol=1e-5)


@pytest.mark.parametrize(("chain", "windows"), [(CTC, 0), slow(Off, 1), slow(Masks, 0)])
def test_inverse_weights_of_one_reverse_chain_have_the_mean_of_the_inverse_evidence(chain, windows):
    """Over draws of latents and image: an image's own chains all start at one exact draw of its posterior."""
    model, params, batch, latents, (joint, _) = problem(chain, images=2000)
    short = options(temperatures=25, chains=1, windows=windows, tuned=False)
    steps = tuned_steps(model, params, jax.random.key(0), batch, short)
    found = annealed(model, params, jax.random.key(2), batch, short, steps, latents)
    inverse = np.exp(logsumexp(joint, axis=0) - np.float64(found.log_weights[0]))
    error = inverse.std() / np.sqrt(len(inverse))
    assert 1e-3 < error < 0.15
    assert abs(inverse.mean() - 1.0) < 4 * error


@pytest.mark.slow
def test_both_directions_bracket_the_evidence_within_a_tenth_of_a_nat():
    model, params, batch, latents, (joint, _) = problem(CTC)
    evidence = logsumexp(joint, axis=0)
    long = options(temperatures=300, chains=256, windows=1)
    steps = tuned_steps(model, params, jax.random.key(3), batch, long)
    forward = annealed(model, params, jax.random.key(4), batch, long, steps)
    reverse = annealed(model, params, jax.random.key(5), batch, long, steps, latents)
    assert np.all(np.abs(reverse.upper - forward.lower) < 0.1)
    np.testing.assert_allclose(forward.lower, evidence, atol=0.05)
    np.testing.assert_allclose(reverse.upper, evidence, atol=0.05)


@pytest.mark.parametrize(("chain", "windows"), [(CTC, 1), slow(Gates, 0), slow(Masks, 0)])
def test_chains_leave_wrong_masks_for_the_exact_posterior(chain, windows):
    model, params, batch, _, (joint, every) = problem(chain)
    settings = InferenceOptions(chains=64, warmup=40, draws=120, windows=windows)
    found = infer(model, params, jax.random.key(1), batch, HMC(step_size=0.4, leapfrogs=4), settings)
    # One indicator for each pair of masks: [draws, chains, images, masks].
    draws = found.latents["z"].mask
    seen = (draws[..., None, :] if chain.kind == BERNOULLI else draws[..., None, :, :]) == every
    seen = np.float64(seen.all(axis=tuple(range(4, seen.ndim))))
    np.testing.assert_array_equal(seen.sum(axis=-1), 1.0)
    expected = softmax(joint, axis=0).T
    likely = expected > 0.01
    seen, expected = seen[:, :, likely], expected[likely]
    effective = np.asarray(effective_sample_size(seen, chain_axis=1, sample_axis=0))
    assert effective.min() > 300
    assert np.abs((seen.mean(axis=(0, 1)) - expected) / np.sqrt(expected * (1 - expected) / effective)).max() < 4.0
    assert np.all(np.isfinite(found.log_joint))


@pytest.mark.parametrize("chain", [CTC, Gates])
def test_no_mask_is_told_from_a_value_that_is_zero(chain):
    """Where all values are 0 the image knows nothing of the masks, which are then drawn from their prior."""
    model, params, batch, _, _ = problem(chain, images=1)
    site = model.mask_sites[0]
    one = model.generate(params, jax.random.key(0), 4000)[0]["z"]
    latents = {"z": Masked(jnp.zeros_like(one.value)[:, None], one.mask[:1, None] + jnp.zeros_like(one.mask)[:, None])}
    of_chain = jax.vmap(partial(joint_of, model, params), in_axes=(0, 0, 0))
    joint = jax.jit(jax.vmap(of_chain, in_axes=(None, None, 0)))(batch.image, batch.label, latents)
    point = sweep(model, params, jax.random.key(1), Point(latents, joint), batch, visits(model, jax.random.key(0), 0))
    found = np.asarray(point.latents["z"].mask[:, 0])
    expected = np.asarray(site.kind.probs(params["logits"]))
    error = np.sqrt(expected * (1 - expected) / len(found))
    assert np.abs((found.mean(axis=0) - expected) / error).max() < 4.0
    np.testing.assert_array_equal(point.latents["z"].value, 0.0)


def test_a_mask_moves_alone_or_takes_the_values_of_its_window_along():
    model, params, batch, latents, _ = problem(CTC, images=1)
    whole = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (2000, *leaf.shape)), latents)
    joint = model.joint(params, batch, latents)
    joint = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (2000, *leaf.shape)), joint)
    order = visits(model, jax.random.key(0), 0)[:1]
    point = sweep(model, params, jax.random.key(1), Point(whole, joint), batch, order, beta=0.0)
    old, new = latents["z"], jax.tree.map(lambda leaf: leaf[:, 0], point.latents["z"])
    turn = (new.mask[:, 0].argmax(axis=-1) - old.mask[0, 0].argmax()) % 3
    round_ = jnp.stack([jnp.roll(old.value[0, 0], by) for by in range(3)])[turn]
    alone = (new.value[:, 0] == old.value[:, 0]).all(axis=-1)
    along = (new.value[:, 0] == round_).all(axis=-1)
    assert bool((alone | along).all())
    for kind in (alone, along):
        assert ((turn > 0) & kind).sum() > 10
    np.testing.assert_array_equal(new.value[:, 1], jnp.broadcast_to(old.value[0, 1], (2000, 3)))
    np.testing.assert_array_equal(new.mask[:, 1], jnp.broadcast_to(old.mask[0, 1], (2000, 3)))


def test_a_trajectory_goes_through_zero_with_its_mask_held():
    model, params, batch, _, _ = problem(CTC)
    params["loc"] = jnp.zeros_like(params["loc"])
    settings = InferenceOptions(chains=8, warmup=0, draws=60)
    found = infer(model, params, jax.random.key(1), batch, HMC(step_size=0.3, leapfrogs=4), settings)
    mask, value = found.latents["z"].mask, found.latents["z"].value
    kept = (mask[1:] * mask[:-1] == 1) & (np.sign(value[1:]) != np.sign(value[:-1]))
    assert kept.sum() > 100


@pytest.mark.parametrize("name", ["top", "level_1"])
def test_a_window_of_a_hierarchy_is_drawn_from_the_ratio_of_joints(make_model, randomize, binary_images, name):
    model = make_model("ctc_hierarchy", families="ctc_pool", top="ctc", latents=1, categories=3, levels=1)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.15)
    site = next(site for site in model.mask_sites if site.name == name)
    batch, chains = jax.tree.map(lambda leaf: leaf[5:6], binary_images), 3000
    start = jax.jit(partial(model.generate, count=1))(params, jax.random.key(2))[0]
    latent, shape = start[name], start[name].mask.shape
    joint_at = jax.jit(lambda at: model.joint(params, batch, {**start, name: at}))
    present = int(latent.mask.argmax())
    every = site.kind.alternatives(latent.mask)
    alone = [Masked(latent.value, one.reshape(shape)) for one in every]
    # What goes round with the mask keeps the value that it selects.
    turned = [jnp.roll(latent.value.ravel(), place - present) for place in range(len(every))]
    along = [Masked(value.reshape(shape), one.reshape(shape)) for value, one in zip(turned, every, strict=True)]
    log_density = np.float64([[joint_at(of).of_all()[0] for of in way] for way in (alone, along)])
    ways = softmax(log_density, axis=1)
    assert ways.max() < 0.9
    assert np.abs(ways[0] - ways[1]).max() > 0.02
    expected = ways.mean(axis=0)
    whole = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (chains, *leaf.shape)), start)
    joint = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (chains, 1)), joint_at(latent))
    point = sweep(model, params, jax.random.key(3), Point(whole, joint), batch, [(site, 0)])
    found = np.asarray(point.latents[name].mask).reshape(chains, -1)
    error = np.sqrt(expected * (1 - expected) / chains)
    assert np.abs((found.mean(axis=0) - expected) / error).max() < 4.0
    # The density that goes with each draw is its own.
    by_way = log_density[:, found.argmax(axis=1)]
    np.testing.assert_allclose(np.abs(np.asarray(point.joint.of_all()[:, 0]) - by_way).min(axis=0), 0.0, atol=1e-4)


@pytest.mark.parametrize(("chain", "windows"), [(CTC, 0), (Off, 1), (Masks, 0)])
def test_descent_never_falls_and_leaves_no_better_mask_of_a_window(chain, windows):
    model, params, batch, _, _ = problem(chain)
    settings = InferenceOptions(warmup=0, draws=60, windows=windows)
    found = infer(model, params, jax.random.key(0), batch, Descent(), settings)
    whole = np.concatenate([found.start[None], found.log_joint])
    assert np.diff(whole, axis=0).min() > -1e-5
    assert found.gain.min() > 0.5
    last = jax.tree.map(lambda draws: jnp.asarray(draws[-1, 0]), found.latents)
    again = model.joint(params, batch, last).total
    np.testing.assert_allclose(found.log_joint[-1, 0], again, rtol=1e-5)
    point = Point(*jax.tree.map(lambda leaf: leaf[None], (last, model.joint(params, batch, last))))
    order = visits(model, jax.random.key(0), 0)
    best = sweep(model, params, jax.random.key(0), point, batch, order, highest=True)
    np.testing.assert_array_equal(best.latents["z"].mask[0], last["z"].mask)


@pytest.mark.parametrize("method", [Descent(), MALA()])
def test_an_image_moves_the_same_in_any_batch(method):
    model, params, batch, _, _ = problem(CTC)
    settings = InferenceOptions(chains=2, warmup=2, draws=3, windows=1)
    whole = infer(model, params, jax.random.key(1), batch, method, settings)
    alone = infer(model, params, jax.random.key(1), jax.tree.map(lambda leaf: leaf[:1], batch), method, settings)
    np.testing.assert_array_equal(whole.latents["z"].mask[:, :, :1], alone.latents["z"].mask)
    np.testing.assert_allclose(whole.latents["z"].value[:, :, :1], alone.latents["z"].value, rtol=1e-5, atol=1e-5)


def test_a_sweep_visits_all_windows_in_order_or_some_without_repetition():
    model = toys.model(CTC)
    site = model.mask_sites[0]
    for all_of_them in (0, 2, 9):
        assert visits(model, jax.random.key(0), all_of_them) == [(site, 0), (site, 1)]
    some = [visits(model, jax.random.key(seed), 1) for seed in range(20)]
    assert {window for ((_, window),) in some} == {0, 1}
    assert visits(model, jax.random.key(3), 1) == some[3]


class Labelled(toys.Chain):
    """x = z + label + noise, of a label that is given."""

    latents = ("label", "z")

    def prior_of(self, name, hidden):
        return Observed(None, hidden, 2) if name == "label" else super().prior_of(name, len(hidden))

    def posterior_of(self, name, features, hidden, prior, step):
        if name == "label":
            return Observed(features.label, hidden, 2)
        return MaskedDistribution(None, None, dist.Normal(jnp.zeros((len(hidden), 1)), jnp.ones((len(hidden), 1))))

    def advance(self, name, hidden, latent):
        return latent.value if name == "label" else hidden + latent.value[:, 0]

    def pixels(self, hidden):
        loc = jnp.broadcast_to(hidden[:, None, None, None], (len(hidden), 2, 2, 1))
        return dist.Normal(loc, NOISE).to_event(3)


def test_a_label_that_is_given_with_the_image_stays_as_it_is():
    model, labels = toys.model(Labelled), np.array([0, 1, 1])
    x = np.random.default_rng(0).normal(size=(3, 4))
    batch = Batch(jnp.asarray(x, jnp.float32).reshape(3, 2, 2, 1), jnp.asarray(labels, jnp.int32))
    covariance = np.ones((4, 4)) + NOISE**2 * np.eye(4)
    evidence = stats.multivariate_normal.logpdf(x - labels[:, None], np.zeros(4), covariance)
    settings = options(temperatures=30, chains=512)
    steps = tuned_steps(model, {}, jax.random.key(0), batch, settings)
    found = annealed(model, {}, jax.random.key(1), batch, settings, steps)
    weights = np.exp(np.float64(found.log_weights) - evidence)
    assert np.abs((weights.mean(axis=0) - 1.0) / weights.std(axis=0)).max() * np.sqrt(512) < 4.0
    forward, reverse = bracketed(model, {}, jax.random.key(2), 4, settings)
    assert np.abs(reverse.upper - forward.lower).max() < 0.2
    moved = infer(model, {}, jax.random.key(3), batch, HMC(), InferenceOptions(chains=2, warmup=0, draws=2))
    np.testing.assert_array_equal(moved.latents["label"].value, np.broadcast_to(labels, (2, 2, 3)))
