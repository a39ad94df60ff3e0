"""Objectives in a training step of a tiny model, and models that they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import training
from ctc_jax.data import Batch
from ctc_jax.errors import ConfigError
from ctc_jax.models import ImageSpace

SPACE = ImageSpace((4, 4, 1), 1, 1)
VAE = {"model__name": "mlp_vae", "model__latents": 2, "likelihood__name": "bernoulli", "data__binarization": "dynamic"}
MASKS = {**VAE, "model__name": "mask_vae", "estimator__name": "rloo"}
HIERARCHY = {**VAE, "model__name": "ctc_hierarchy", "model__ctc_hierarchy__levels": 1, "estimator__name": "reinmax"}
DOUBLY = {
    "objective__name": "importance_weighted",
    "objective__importance_weighted__gradient": "doubly_reparameterized",
}
STICKING = {"objective__name": "elbo", "objective__elbo__gradient": "sticking_the_landing"}
WAKE = {"objective__name": "reweighted_wake_sleep", "objective__reweighted_wake_sleep__sleep": 0.5}
COUPLING = {"posterior__name": "coupling", "posterior__coupling__steps": 2, "posterior__coupling__layers": 1}
CODING = {"objective__name": "predictive_coding", "objective__predictive_coding__steps": 2}
MOVED = {"posterior__name": "annealed_hamiltonian", "posterior__annealed_hamiltonian__bridges": 2}
DRAW = {**VAE, "model__name": "draw", "model__draw__glimpses": 2, "model__activation": "silu"}
TOP_DOWN = {**VAE, "model__name": "top_down", "model__top_down__decoder": "1x1,2x1"}
GAUSSIAN = {**HIERARCHY, "model__ctc_hierarchy__families": "gaussian", "estimator__name": "pathwise"}


def trained(config):
    """Parameters before and after three steps, and the metrics of these."""
    model = training.build_model(config, SPACE)
    step = training.build_step(config, model)
    images = np.random.default_rng(0).integers(0, 2, (3, 8, 4, 4, 1)).astype(np.uint8)

    @jax.jit
    def train(images):
        start = step.init()
        return start.params, *step(start, Batch(images, jnp.zeros((3, 8), jnp.int32)))

    before, after, metrics = jax.device_get(train(images))
    return before, after.params, metrics


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({**VAE, **DOUBLY, "posterior__name": "full"}, id="doubly_reparameterized"),
        pytest.param({**VAE, **STICKING, **COUPLING}, id="sticking_the_landing"),
        pytest.param({**VAE, **WAKE}, id="reweighted_wake_sleep"),
        pytest.param({**VAE, **CODING}, id="predictive_coding"),
        pytest.param({**VAE, "posterior__name": "semi_amortized"}, id="semi_amortized"),
        pytest.param({**MASKS, **WAKE}, id="reweighted_wake_sleep of masks"),
        pytest.param(
            {**GAUSSIAN, **DOUBLY, "posterior__name": "full"},
            id="doubly_reparameterized hierarchy",
            marks=pytest.mark.slow,
        ),
        pytest.param({**GAUSSIAN, "posterior__name": "hamiltonian"}, id="moved hierarchy", marks=pytest.mark.slow),
        pytest.param({**DRAW, **MOVED}, id="moved steps", marks=pytest.mark.slow),
        pytest.param({**TOP_DOWN, **MOVED}, id="moved blocks", marks=pytest.mark.slow),
        pytest.param({**HIERARCHY, **WAKE}, id="reweighted_wake_sleep of a hierarchy", marks=pytest.mark.slow),
        pytest.param(
            {**HIERARCHY, **WAKE, "model__ctc_hierarchy__inference": "bottom_up"},
            id="reweighted_wake_sleep upwards",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_objective_moves_every_parameter(tiny, changes):
    before, after, metrics = trained(tiny(**changes, train__learning_rate=0.01))
    assert all(np.isfinite(values).all() for values in metrics.values())
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, after)
    assert min(jax.tree.leaves(moved)) > 1e-5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {**VAE, **DOUBLY, "posterior__name": "planar"},
            r"weighted\.gradient is 'doubly.* diagonal, full, ",
        ),
        ({**VAE, **STICKING, "posterior__name": "hamiltonian"}, r"elbo\.gradient is 'stick.* own draws alone$"),
        ({**GAUSSIAN, **DOUBLY, "posterior__name": "hamiltonian"}, r"gradient is 'doubly.* own draws alone$"),
        ({**MASKS, **DOUBLY}, r"importance_weighted\.gradient is .*; allowed: total: .* masks of z$"),
        ({**MASKS, **CODING}, r"objective\.name is 'predictive_coding'; .* moves no values: z has masks$"),
        ({**VAE, **CODING, "model__name": "class_conditional"}, r"'predictive_coding'; .* label comes with the image$"),
        ({**VAE, **WAKE, "posterior__name": "iaf"}, r"objective\.name is 'reweighted_wake_sleep'; .* neural_spline, "),
    ],
)
def test_a_model_that_does_not_fit_is_refused_when_it_is_built(tiny, changes, words):
    config = tiny(**changes)
    with pytest.raises(ConfigError, match=words):
        training.build_step(config, training.build_model(config, SPACE))
