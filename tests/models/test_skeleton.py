import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats
from scipy.special import logsumexp

from ctc_jax import models
from ctc_jax.distributions.masked import Masked
from tests.documented import skeleton
from tests.models.conftest import weights_and_bounds

GRID = np.linspace(-9.0, 9.0, 721)
DRAWS = 2048


def test_the_skeleton_has_the_evidence_of_its_decoder(make_model, randomize, binary_images, monkeypatch):
    monkeypatch.setitem(models.REGISTRY, "shallow_vae", skeleton("model").ShallowVAE)
    model = make_model("shallow_vae", narrowing=2)
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    codes = {"z": Masked(jnp.asarray(GRID[:, None], jnp.float32))}
    log_prob = jax.jit(lambda: model.decode(params, codes).log_prob(binary_images.image[:, None]))()
    evidence = logsumexp(np.float64(log_prob) + stats.norm.logpdf(GRID), axis=1, b=GRID[1] - GRID[0])
    np.testing.assert_allclose(np.exp(evidence).sum(), 1.0, rtol=1e-5)
    keys = jax.random.split(jax.random.key(1), DRAWS)
    weights = np.exp(np.float64(weights_and_bounds(model, params, keys, binary_images)["log_weight"]))
    error = weights.std(axis=0) / np.sqrt(DRAWS)
    np.testing.assert_array_less(np.abs(weights.mean(axis=0) - np.exp(evidence)), 4.5 * error + 1e-6)
