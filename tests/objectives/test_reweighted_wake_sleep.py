import itertools

import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax import objectives
from ctc_jax.models import Masked
from ctc_jax.objectives import ImportanceWeighted, ReweightedWakeSleep
from tests.objectives.gates import BATCH, GATES, MODEL, TwoGates, exact_loss

KEYS, STEP = 2**13, jnp.zeros((), jnp.int32)
EVERY = jnp.array(list(itertools.product((0.0, 1.0), repeat=2)))
P, Q = ("p", "r"), ("l",)


def log_densities(params):
    """log p(x, m) and log q(m|x) of the four masks, `[masks, images]`."""
    posterior = TwoGates(params).posterior_of("z", BATCH, None, None, None)

    def of(mask):
        gates = jnp.broadcast_to(mask, (2, 2))
        return MODEL.joint(params, BATCH, {"z": Masked(jnp.ones((2, 2)), gates)}).total, posterior.mask_log_prob(gates)

    return jax.vmap(of)(EVERY)


def gradients(objective):
    def one(key):
        return jax.grad(lambda params: objective(MODEL, params, key, BATCH, STEP)[0])(GATES)

    return jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), KEYS)))


def assert_means(found, expected, names):
    for name in names:
        error = found[name].std(axis=0) / np.sqrt(KEYS)
        np.testing.assert_array_less(np.abs(found[name].mean(axis=0) - expected[name]), 4.0 * error + 1e-5)
        assert (np.abs(expected[name]) > 4.0 * error).any()  # not hidden in the noise


def test_p_climbs_the_bound_and_q_the_weighted_log_q_both_by_enumeration():
    samples = 2
    tuples = jnp.array(list(itertools.product(range(4), repeat=samples)))
    held_joint, held_q = log_densities(GATES)
    chances = jnp.exp(jnp.sum(held_q[tuples], axis=1))
    weights = jax.nn.softmax((held_joint - held_q)[tuples], axis=1)

    def of_q(params):
        return -jnp.mean(jnp.sum(chances * jnp.sum(weights * log_densities(params)[1][tuples], axis=1), axis=0))

    found = gradients(ReweightedWakeSleep(samples))
    assert_means(found, jax.jit(jax.grad(lambda params: exact_loss(params, samples)))(GATES), P)
    assert_means(found, jax.jit(jax.grad(of_q))(GATES), Q)


def test_with_many_samples_p_climbs_the_evidence_and_q_descends_the_inclusive_divergence():
    held = log_densities(GATES)[0]
    posterior = jax.nn.softmax(held, axis=0)

    def loss(params):
        joint, log_q = log_densities(params)
        return -jnp.mean(jax.nn.logsumexp(joint, axis=0) + jnp.sum(posterior * log_q, axis=0))

    found, expected = gradients(ReweightedWakeSleep(256)), jax.jit(jax.grad(loss))(GATES)
    for name in (*P, *Q):
        np.testing.assert_allclose(found[name].mean(axis=0), expected[name], atol=0.01)  # a bias of the order of 1 / K
    assert max(np.abs(leaf).max() for leaf in expected.values()) > 0.1


def test_asleep_q_learns_of_latents_that_p_draws():
    """The toy's images are not looked at: q learns p(m) alone."""
    prior = jax.nn.log_sigmoid(jnp.where(EVERY == 1, GATES["p"][None], -GATES["p"][None])).sum(axis=1)

    def loss(params):
        return -jnp.mean(jnp.exp(prior) @ log_densities(params)[1])

    found = gradients(ReweightedWakeSleep(2, sleep=1.0))
    assert_means(found, jax.jit(jax.grad(loss))(GATES), Q)


def test_loss_and_metrics_are_those_of_the_bound():
    compute = jax.jit(ReweightedWakeSleep(4096), static_argnums=0)
    loss, metrics = compute(MODEL, GATES, jax.random.key(3), BATCH, STEP)
    other = ImportanceWeighted(4)(MODEL, GATES, jax.random.key(3), BATCH, STEP)[1]
    assert metrics.keys() == other.keys()
    assert metrics["loss_nats"] == loss == -metrics["importance_bound_nats"]
    evidence = jnp.mean(jax.nn.logsumexp(log_densities(GATES)[0], axis=0))
    np.testing.assert_allclose(-loss, evidence, atol=0.05)
    assert metrics["elbo_nats"] < metrics["importance_bound_nats"]


def test_continuous_latents_give_p_the_gradient_of_the_bound(one_latent, params, binary_images):
    def gradient(objective, seed):
        def one(key):
            return jax.grad(lambda p: objective(one_latent, p, key, binary_images, STEP)[0])(params)

        return jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), 2048)))

    found, expected = gradient(ReweightedWakeSleep(4), 0), gradient(ImportanceWeighted(4), 1)
    for name in ("a", "c"):
        error = np.hypot(found[name].std(axis=0), expected[name].std(axis=0)) / np.sqrt(2048)
        np.testing.assert_array_less(np.abs(found[name].mean(axis=0) - expected[name].mean(axis=0)), 4.0 * error)


def test_build_reads_every_option():
    section = {"name": "reweighted_wake_sleep", "reweighted_wake_sleep": {"samples": 7, "sleep": 0.5}}
    assert objectives.build(section) == ReweightedWakeSleep(7, 0.5)
