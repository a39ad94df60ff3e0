"""Descent and chains against posteriors in closed form: a linear-Gaussian model, and one of two modes."""

import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from blackjax.diagnostics import effective_sample_size
from scipy import stats

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.errors import ConfigError, UserError
from ctc_jax.inference import HMC, MALA, SECTION, Descent, InferenceOptions, Langevin, infer
from tests import toys

WEIGHTS = np.array([1.0, -0.5, 0.8, 0.3])
NOISE = 0.7
IMAGES = np.array([[3, 0, 2, 1], [0, 2, 0, 0], [1, 1, 1, 1]], np.uint8).reshape(3, 2, 2, 1)
BATCH = Batch(jnp.asarray(IMAGES), jnp.zeros(3, jnp.int32))


class Line(toys.Chain):
    """x = w z + noise; a posterior that is too narrow and beside the truth."""

    def posterior_of(self, name, features, hidden, prior, step):
        count = len(features.image)
        loc, scale = jnp.full((count, 1), -1.0), jnp.full((count, 1), 0.2)
        return MaskedDistribution(None, None, dist.Normal(loc, scale))

    def pixels(self, hidden):
        loc = hidden[:, None] * jnp.asarray(WEIGHTS, jnp.float32)[None]
        return dist.Normal(loc.reshape(-1, 2, 2, 1), NOISE).to_event(3)


class TwoModes(Line):
    """x = |z| + noise in every pixel: two modes of equal weight, of which the posterior sees one."""

    def pixels(self, hidden):
        loc = jnp.broadcast_to(jnp.abs(hidden)[:, None, None, None], (len(hidden), 2, 2, 1))
        return dist.Normal(loc, 1.0).to_event(3)


def exact():
    """Mean and standard deviation of z given each image."""
    precision = 1 + WEIGHTS @ WEIGHTS / NOISE**2
    return IMAGES.reshape(3, 4) @ WEIGHTS / NOISE**2 / precision, precision**-0.5


def run(method, *, batch=BATCH, chain=Line, seed=0, **options):
    return infer(toys.model(chain), {}, jax.random.key(seed), batch, method, InferenceOptions(**options))


# A quarter of a turn round the posterior: after half of one z is mirrored, and its square does not mix.
@pytest.mark.parametrize("method", [MALA(step_size=0.3), HMC(step_size=0.14, leapfrogs=5)])
def test_adjusted_chains_have_the_mean_and_the_width_of_the_posterior(method):
    found = run(method, chains=64, warmup=30, draws=150)
    mean, deviation = exact()
    draws, effective = np.float64(found.latents["z"].value[..., 0]), found.effective_samples()["z"][:, 0]
    assert draws.shape == (150, 64, 3)
    assert effective.min() > 1000
    assert np.abs((draws.mean(axis=(0, 1)) - mean) / (deviation / np.sqrt(effective))).max() < 4
    # A variance from n draws of a Gaussian has a relative error of sqrt(2 / n).
    of_squares = effective_sample_size((draws - mean) ** 2, chain_axis=1, sample_axis=0)
    assert np.abs((draws.var(axis=(0, 1)) / deviation**2 - 1) / np.sqrt(2 / of_squares)).max() < 4
    assert 0.3 < found.acceptance.mean() < 0.999
    assert found.potential_scale_reduction()["z"].max() < 1.02
    np.testing.assert_array_less(0.3, found.gain.mean(axis=0))


def test_unadjusted_langevin_has_the_variance_of_its_own_stationary_law():
    size = 0.1
    found = run(Langevin(step_size=size), chains=64, warmup=60, draws=200)
    mean, deviation = exact()
    draws, effective = np.float64(found.latents["z"].value[..., 0]), found.effective_samples()["z"][:, 0]
    assert np.abs((draws.mean(axis=(0, 1)) - mean) / (deviation / np.sqrt(effective))).max() < 4.5
    # z' = z + e (mean - z) / s^2 + sqrt(2 e) noise is autoregressive, of variance s^2 / (1 - e / (2 s^2)).
    biased = deviation**2 / (1 - size / (2 * deviation**2))
    assert biased > 1.2 * deviation**2
    assert np.abs(draws.var(axis=(0, 1)) / biased - 1).max() < 4.5 * np.sqrt(2 / effective.min())
    np.testing.assert_array_equal(found.acceptance, 1.0)


def test_descent_never_falls_and_ends_at_the_mode():
    found = run(Descent(step_size=0.05), warmup=0, draws=60)
    mean, _ = exact()
    np.testing.assert_allclose(found.latents["z"].value[-1, 0, :, 0], mean, atol=1e-3)
    assert found.log_joint.shape == (60, 1, 3)
    whole = np.concatenate([found.start[None], found.log_joint])
    assert np.diff(whole, axis=0).min() >= 0
    assert found.gain.min() > 0.5
    prior, noise = stats.norm(0, 1), stats.norm(0, NOISE)
    expected = prior.logpdf(mean) + noise.logpdf(IMAGES.reshape(3, 4) - mean[:, None] * WEIGHTS).sum(axis=1)
    np.testing.assert_allclose(found.log_joint[-1, 0], expected, rtol=1e-5)


def test_a_step_that_is_far_too_long_is_shortened_until_it_rises():
    found = run(Descent(step_size=1e4), warmup=0, draws=80)
    np.testing.assert_allclose(found.latents["z"].value[-1, 0, :, 0], exact()[0], atol=1e-2)


def test_long_trajectories_find_the_mode_that_the_recognition_model_does_not_see():
    images = Batch(jnp.ones((1, 2, 2, 1), jnp.int32), jnp.zeros(1, jnp.int32))
    found = run(HMC(step_size=0.35, leapfrogs=6), batch=images, chain=TwoModes, chains=64, warmup=100, draws=150)
    draws = found.latents["z"].value[:, :, 0, 0]
    assert stats.norm(-1, 0.2).sf(0) < 1e-6  # where chains began
    share = (draws > 0).mean()
    error = 0.5 / np.sqrt(float(found.effective_samples()["z"][0, 0]))
    assert abs(share - 0.5) < 4 * error < 0.2
    grid = np.linspace(-6, 6, 4001)
    log_density = stats.norm.logpdf(grid) + 4 * stats.norm.logpdf(1 - np.abs(grid))
    weight = np.exp(log_density - log_density.max())
    size = np.sqrt((weight * grid**2).sum() / weight.sum())
    np.testing.assert_allclose(np.sqrt((np.float64(draws) ** 2).mean()), size, rtol=0.05)


@pytest.mark.parametrize("method", [Descent(), MALA(), HMC(leapfrogs=2)])
def test_an_image_moves_the_same_in_any_batch(method):
    whole = run(method, chains=2, warmup=2, draws=3)
    alone = run(method, batch=jax.tree.map(lambda leaf: leaf[:1], BATCH), chains=2, warmup=2, draws=3)
    np.testing.assert_allclose(whole.latents["z"].value[:, :, :1], alone.latents["z"].value, rtol=1e-5, atol=1e-6)
    assert np.abs(np.diff(whole.latents["z"].value, axis=0)).max() > 1e-3


def test_chains_that_diverge_are_named_with_a_smaller_step():
    with pytest.raises(
        UserError,
        match=r"^langevin diverged: log p\(x, z\) of image 0 is not finite after \d+ moves "
        r"with step_size 2\.0; allowed: smaller, for example 0\.5$",
    ):
        run(Langevin(step_size=2.0), chains=2, warmup=300, draws=1)


def test_a_model_without_latents_is_refused_in_one_line(make_model, binary_images):
    model = make_model("class_conditional", classes=2)
    params = jax.jit(model.init)(jax.random.key(0))
    with pytest.raises(UserError, match="label is given with the image; allowed: a model with a latent that is"):
        infer(model, params, jax.random.key(0), binary_images, Descent(), InferenceOptions())


@pytest.mark.parametrize("families", ["gaussian", ""])
def test_any_model_of_continuous_latents_is_served(make_model, randomize, binary_images, families):
    changes = {"families": families, "levels": 1} if families else {}
    model = make_model("ctc_hierarchy" if families else "mlp_vae", latents=2, **changes)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.3)
    found = infer(model, params, jax.random.key(1), binary_images, Descent(), InferenceOptions(warmup=0, draws=15))
    assert set(found.latents) == set(model.latents)
    assert found.gain.min() > 0
    joint = jax.jit(partial(model.joint, params))
    last = jax.tree.map(lambda draws: jnp.asarray(draws[-1, 0]), found.latents)
    again = joint(binary_images, last).total
    np.testing.assert_allclose(found.log_joint[-1, 0], again, rtol=1e-4)


def test_options_that_do_not_fit_are_named_by_their_key():
    with pytest.raises(ConfigError, match=r"^config\.inference\.name is 'nuts'; allowed: descent, hmc, langevin, mala"):
        SECTION.read({**SECTION.defaults(), "name": "nuts"})
    with pytest.raises(ConfigError, match=r"^config\.inference\.hmc\.step_size is -1"):
        SECTION.read({**SECTION.defaults(), "name": "hmc", "hmc": {"step_size": -1.0}})


def test_importing_the_package_computes_nothing():
    """Else the devices of the CPU could not be chosen any more."""
    program = (
        "import sys, jax, ctc_jax\n"
        "jax.config.update('jax_num_cpu_devices', 3)  # refused once something was computed\n"
        "print(jax.device_count(), 'blackjax' in sys.modules)"
    )
    own = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-c", program], env=own, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]
