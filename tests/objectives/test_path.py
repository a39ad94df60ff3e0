"""Gradients along paths: the same mean as the total ones, and less noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.models import END
from ctc_jax.objectives import Elbo, ImportanceWeighted
from ctc_jax.objectives.path import check_path, draws, path_bound
from ctc_jax.options import OptionError
from tests import toys
from tests.objectives.linear import GENERATIVE, IMAGES, MODEL, ROUGH, exact, log_evidence

KEYS, STEP = 2**14, jnp.zeros((), jnp.int32)


def gradients(objective, params, keys=KEYS, seed=0):
    def one(key):
        return jax.grad(lambda params: objective(MODEL, params, key, IMAGES, STEP)[0])(params)

    return jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), keys)))


def z_scores(one, other):
    return {
        name: (one[name].mean() - other[name].mean())
        / np.sqrt(one[name].var() / len(one[name]) + other[name].var() / len(other[name]) + 1e-12)
        for name in one
    }


@pytest.fixture(scope="module")
def rough():
    return {**GENERATIVE, **ROUGH}


@pytest.fixture(scope="module")
def total(rough):
    return gradients(ImportanceWeighted(6), rough)


def test_sticking_the_landing_has_the_mean_of_the_total_gradient(rough):
    scores = z_scores(gradients(Elbo(), rough), gradients(Elbo(gradient="sticking_the_landing"), rough, seed=1))
    assert max(map(abs, scores.values())) < 4.0


def test_at_the_exact_posterior_sticking_the_landing_has_no_variance_and_the_bound_is_the_evidence():
    params = {**GENERATIVE, **{name: jnp.float32(value) for name, value in exact().items()}}
    found = gradients(Elbo(gradient="sticking_the_landing"), params, keys=64)
    noisy = gradients(Elbo(), params, keys=64)
    for name in ROUGH:
        assert np.abs(found[name]).max() < 1e-4
        assert np.abs(noisy[name]).max() > 0.05

    @jax.jit
    def bound(key):
        trace = MODEL.infer(params, key, IMAGES)
        parts = path_bound(MODEL, params, IMAGES, draws(trace), trace.joint, END)
        return parts.log_likelihood - sum(parts.kl.values())

    np.testing.assert_allclose(bound(jax.random.key(5)), log_evidence(), rtol=1e-4)


def test_doubly_reparameterized_has_the_mean_of_the_total_gradient_and_less_noise(rough, total):
    found = gradients(ImportanceWeighted(6, gradient="doubly_reparameterized"), rough, seed=1)
    assert max(map(abs, z_scores(total, found).values())) < 4.0
    assert all(np.abs(found[name].mean()) > 6 * found[name].std() / np.sqrt(KEYS) for name in found)
    assert all(found[name].std() < total[name].std() for name in ROUGH)


def test_sticking_the_landing_is_biased_where_there_are_several_samples(rough, total):
    found = gradients(ImportanceWeighted(6, gradient="sticking_the_landing"), rough, seed=1)
    scores = z_scores(total, found)
    assert max(abs(scores[name]) for name in GENERATIVE) < 4.0
    assert max(abs(scores[name]) for name in ROUGH) > 10.0


def test_the_signal_of_q_grows_with_the_samples_where_it_is_doubly_reparameterized(rough):
    def signal(gradient, samples):
        found = gradients(ImportanceWeighted(samples, gradient=gradient), rough, keys=2**12)
        return np.array([np.abs(found[name].mean()) / found[name].std() for name in ROUGH])

    assert (signal("doubly_reparameterized", 64) > 2.0 * signal("doubly_reparameterized", 4)).all()
    assert np.median(signal("total", 64) / signal("total", 4)) < 1.0


def test_losses_and_metrics_are_those_of_the_total_gradient(rough):
    one, other = (
        jax.jit(ImportanceWeighted(3, gradient=name), static_argnums=0)(MODEL, rough, jax.random.key(0), IMAGES, STEP)
        for name in ("total", "doubly_reparameterized")
    )
    np.testing.assert_allclose(one[0], other[0], rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one[1], other[1])


@pytest.mark.parametrize(
    "objective", [Elbo(gradient="sticking_the_landing"), ImportanceWeighted(3, gradient="doubly_reparameterized")]
)
def test_the_recognition_model_is_asked_for_draws_and_for_their_density_and_no_more(rough, objective, monkeypatch):
    infer, asked = type(MODEL).infer, []
    monkeypatch.setattr(type(MODEL), "infer", lambda *args, **given: asked.append(given) or infer(*args, **given))
    jax.eval_shape(lambda params: objective(MODEL, params, jax.random.key(0), IMAGES, STEP), rough)
    assert ["given" in of for of in asked] == [False, True]


def test_masks_have_no_path():
    class Gated(toys.Silent):
        mask_sites = (type("Site", (), {"name": "code"}),)

    with pytest.raises(OptionError, match=r"^gradient is 'x'; allowed: total: there is no path through .* code$"):
        check_path(Gated(), "gradient", "x")
