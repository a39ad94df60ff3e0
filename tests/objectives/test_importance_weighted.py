import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from ctc_jax import objectives
from ctc_jax.data import Batch
from ctc_jax.errors import ConfigError
from ctc_jax.models import Model
from ctc_jax.objectives import ImportanceWeighted, importance_weighted_bound, log_weights

DRAWS = 8192
STEP = jnp.zeros((), jnp.int32)


@dataclass(frozen=True)
class TwoGates(Model):
    """Two gates with q's logits `l` (times 1 + the image's number) and p's logits `p`; log p(x|m) = `r`[mask]."""

    image_shape = (1, 1, 1)
    mask_kinds = frozenset({"bernoulli"})
    mask_levels = 1

    def log_q(self, params, batch, gates):
        logits = params["l"][None] * (1.0 + batch.label.astype(jnp.float32)[:, None])
        return jnp.sum(gates * logits - jax.nn.softplus(logits), axis=1), logits

    def recognize_masks(self, params, key, batch, step=None):
        _, logits = self.log_q(params, batch, 0.0)
        gates = jax.lax.stop_gradient((jax.random.uniform(key, logits.shape) < jax.nn.sigmoid(logits)).astype(float))
        log_q, _ = self.log_q(params, batch, gates)
        return {"m": gates}, log_q, log_q

    def log_joint(self, params, batch, latents):
        gates = latents["m"]
        log_p = jnp.sum(gates * params["p"][None] - jax.nn.softplus(params["p"])[None], axis=1)
        return log_p + params["r"][(gates @ jnp.array([2.0, 1.0])).astype(int)]


GATES = {"l": jnp.array([0.4, -0.7]), "p": jnp.array([-0.3, 0.9]), "r": jnp.array([-2.0, -0.5, -3.0, -1.0])}
BATCH = Batch(jnp.zeros((2, 1, 1, 1), jnp.uint8), jnp.arange(2, dtype=jnp.int32))


def section(**changes):
    options = {"kl_warmup_steps": 0, "free_nats": 0.0, "mask_annealing_steps": 0, "samples": 5}
    shared = {"mask_annealing_start": 0.1, "mask_annealing_end": 1.0}
    return ml_collections.ConfigDict({"name": "importance_weighted", **shared, **options, **changes})


def exact_loss(params, samples):
    """Minus the expected bound, over every tuple of masks."""
    model, every = TwoGates(), jnp.array(list(itertools.product((0.0, 1.0), repeat=2)))

    def of_mask(mask):
        gates = jnp.broadcast_to(mask, (2, 2))
        log_q, _ = model.log_q(params, BATCH, gates)
        return log_q, model.log_joint(params, BATCH, {"m": gates}) - log_q

    log_q, weights = jax.vmap(of_mask)(every)
    tuples = jnp.array(list(itertools.product(range(4), repeat=samples)))
    bounds = importance_weighted_bound(jnp.moveaxis(weights[tuples], 1, -1))
    return -jnp.mean(jnp.sum(jnp.exp(jnp.sum(log_q[tuples], axis=1)) * bounds, axis=0))


@pytest.mark.parametrize("samples", [2, 3])
def test_the_gradient_through_masks_is_that_of_the_enumerated_bound(samples):
    def one(key):
        return jax.value_and_grad(lambda p: ImportanceWeighted(samples)(TwoGates(), p, key, BATCH, STEP)[0])(GATES)

    losses, gradients = jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), DRAWS)))
    value, expected = jax.jit(jax.value_and_grad(lambda params: exact_loss(params, samples)))(GATES)
    assert abs(losses.mean() - value) < 4.5 * losses.std() / np.sqrt(DRAWS)
    for name, exact in expected.items():
        error = gradients[name].std(axis=0) / np.sqrt(DRAWS)
        np.testing.assert_array_less(np.abs(gradients[name].mean(axis=0) - exact), 4.5 * error + 1e-5)
        assert (np.abs(exact) > 4.5 * error).any()  # not hidden in the noise


def test_without_masks_it_is_the_bound_of_its_reparameterized_weights(one_latent, params, binary_images):
    """The same weights from the keys of `log_weights` give the same loss on average, and the same gradient."""
    samples = 3

    def of_objective(key):
        return ImportanceWeighted(samples)(one_latent, params, key, binary_images, STEP)[0]

    def of_weights(key):
        keys = jax.random.split(key, (16, samples))
        return -importance_weighted_bound(log_weights(one_latent, params, keys, binary_images)).mean()

    keys = jax.random.split(jax.random.key(1), 2048)
    a, b = (np.asarray(jax.jit(jax.vmap(of))(keys)) for of in (of_objective, of_weights))
    assert abs(a.mean() - b.mean()) < 4.5 * np.hypot(a.std(), b.std()) / np.sqrt(len(keys))


def test_the_gradient_without_masks_is_that_of_finite_differences(one_latent, params, binary_images):
    def loss(b):
        moved = {**params, "b": b}
        return ImportanceWeighted(3)(one_latent, moved, jax.random.key(2), binary_images, STEP)[0]

    slope = (jax.jit(loss)(params["b"] + 0.01) - jax.jit(loss)(params["b"] - 0.01)) / 0.02
    np.testing.assert_allclose(jax.grad(loss)(params["b"]), slope, rtol=0.01)


def test_metrics_are_the_bound_and_the_mean_log_weight():
    loss, metrics = ImportanceWeighted(4)(TwoGates(), GATES, jax.random.key(3), BATCH, STEP)
    assert metrics["loss_nats"] == loss
    assert metrics["importance_bound_nats"] == -loss
    assert metrics["elbo_nats"] < metrics["importance_bound_nats"]  # Jensen, weight by weight
    assert set(metrics) == {"loss_nats", "elbo_nats", "importance_bound_nats"}


def test_build_reads_the_samples():
    assert objectives.build(section(samples=7)) == ImportanceWeighted(7)


@pytest.mark.parametrize(
    ("key", "value"),
    [("samples", 1), ("samples", 0), ("kl_warmup_steps", 5), ("free_nats", 1.0), ("mask_annealing_steps", 3)],
)
def test_what_does_not_fit_is_refused(key, value):
    with pytest.raises(ConfigError, match=rf"^config\.objective\.{key} is {value}; allowed: "):
        objectives.build(section(**{key: value}))
