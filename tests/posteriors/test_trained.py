"""Recognition families in whole runs: trained, evaluated, drawn, reported, loaded."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp
from scipy import stats

import ctc_jax
from configs import base
from ctc_jax.cli import modes
from ctc_jax.data import Batch, shapes
from ctc_jax.options import flatten
from ctc_jax.posteriors import REGISTRY

OWN = "moves_1|reverse|log_step"
OTHERS = {
    "conv_vae": {"model.conv_vae.levels": 1},
    # Nothing below the top, so that there is an integral to compare with.
    "ctc_hierarchy": {"model.ctc_hierarchy.levels": 1, "model.ctc_hierarchy.families": "none"},
}


def run_of(folder, name, posterior, changes):
    images, _ = shapes.density().sample(np.random.default_rng(0), 90)
    np.savez(folder / "shapes.npz", images=images)
    config = base.experiment(
        {
            "data.name": "npz",
            "data.npz.path": str(folder / "shapes.npz"),
            "data.bits": 2,
            "posterior.name": posterior,
            "evaluate.annealed_images": 2,
            "evaluate.annealed_temperatures": 20,
            "posterior.iaf.steps": 2,
            "posterior.iaf.width": 4,
            "posterior.iaf.context": 2,
            "model.name": name,
            "model.latents": 1,
            "model.width": 4,
            "model.blocks": 1,
            "model.features": 4,
            "likelihood.name": "categorical",
            "train.steps": 6,
            "train.learning_rate": 0.01,
            "train.batch_size": 8,
            "train.warmup_steps": 0,
            "train.evaluate_every": 3,
            "train.checkpoint_every": 3,
            "train.picture_every": 0,
            "evaluate.importance_samples": 2,
            "evaluate.latents": 4,
            "evaluate.likelihood_samples": 2,
            "report.tensorboard": False,
            **changes,
        }
    )
    defaults = flatten(base.get_config().to_dict())
    code = modes.execute(config, defaults=defaults, workdir=folder / name, mode="train", command=["test"])
    assert code == 0
    return ctc_jax.load(folder / name, "latest")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "posterior"),
    [
        *(("mlp_vae", posterior) for posterior in REGISTRY if posterior not in ("diagonal", "radial", "coupling")),
        ("conv_vae", "iaf"),
        ("conv_vae", "hamiltonian"),
        ("ctc_hierarchy", "neural_spline"),
    ],
)
def test_a_run_with_it_is_trained_evaluated_reported_and_loaded(tmp_path, name, posterior):
    run = run_of(tmp_path, name, posterior, OTHERS.get(name, {}))
    (code,) = run.model.latents
    moved = jax.tree.map(lambda one, other: np.abs(one - other).max(), run.params, run.model.init(jax.random.key(0)))
    # What it has beside the Gaussian that it starts from: of one latent a full covariance has nothing, nor do steps.
    pattern = "start" if posterior in ("full", "semi_amortized") else OWN
    own = [leaf for path, leaf in jax.tree.leaves_with_path(moved) if re.search(pattern, jax.tree_util.keystr(path))]
    assert max(own) > 1e-4
    (tested,) = [line for line in run.history if line["split"] == "test"]
    assert {f"kl_nats/{code}", f"active_units/{code}", "annealed_bound_nats", "annealed_own/gap_nats"} <= set(tested)
    assert (tmp_path / name / "report.html").exists()
    images = run.dataset.test.images[:3]
    assert run.encode(images)[code].shape == (3, 1)
    # Weights of a density well within q have mean 1.
    batch = Batch(jnp.asarray(images), jnp.zeros(3, jnp.int32))
    infer = jax.jit(jax.vmap(lambda key: run.model.infer(run.params, key, batch).sites[code]))
    sites = infer(jax.random.split(jax.random.key(1), 16_384))
    latent = np.asarray(sites.draw.value, np.float64)[..., 0]
    log_inner = stats.norm.logpdf(latent, latent.mean(axis=0), 0.5 * latent.std(axis=0))
    weights = np.exp(log_inner - sites.log_q)
    error = weights.std(axis=0) / 128
    assert error.max() < 0.05
    assert np.abs((weights.mean(axis=0) - 1.0) / error).max() < 4.0
    # Quadrature of p(x|z) N(z) on a grid that holds all but 1e-12 of the prior: the bound stays below.
    grid = np.linspace(-7, 7, 1001, dtype=np.float32)
    pixels = run.decode({code: grid[:, None]})
    log_prior = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi) + np.log(grid[1] - grid[0])
    exact = [logsumexp(pixels.log_prob(jnp.broadcast_to(image, (1001, *image.shape))) + log_prior) for image in images]
    assert np.max(run.log_likelihood(images, importance_samples=500) - np.asarray(exact)) < 0.3


@pytest.mark.slow
def test_so_is_a_run_whose_level_it_draws(tmp_path):
    """No figure or picture asks for a distribution of what the family draws."""
    changes = {
        "model.ctc_hierarchy.levels": 1,
        "model.ctc_hierarchy.families": "gaussian",
        "model.ctc_hierarchy.channels": 2,
        "model.blocks": 0,
        "evaluate.annealed_images": 0,
    }
    run = run_of(tmp_path, "ctc_hierarchy", "iaf", changes)
    moved = jax.tree.map(lambda one, other: np.abs(one - other).max(), run.params, run.model.init(jax.random.key(0)))
    assert min(jax.tree.leaves(moved["drawn_by_0"]["moves_1"])) > 1e-5
    (tested,) = [line for line in run.history if line["split"] == "test"]
    assert {"kl_nats/level_1", "active_units/level_1", "importance_bound_nats"} <= set(tested)
    assert (tmp_path / "ctc_hierarchy" / "samples" / "one_code.png").exists()
    images = run.dataset.test.images[:3]
    assert run.encode(images)["level_1"].shape == (3, 16 * 16 * 2)
    assert np.isfinite(run.log_likelihood(images, importance_samples=20)).all()
