"""Every registered estimator in a training step of a tiny model, and one with learned parameters in whole runs."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import gradients, training
from ctc_jax.data import Batch
from ctc_jax.errors import ConfigError
from ctc_jax.models import ImageSpace
from ctc_jax.reporting import read_history
from ctc_jax.training import Checkpoints, Outcome
from ctc_jax.training.mesh import data_mesh

MASKS = {
    "data__bits": 8,
    "data__binarization": "dynamic",
    "model__name": "mask_vae",
    "model__latents": 3,
    "model__mask_vae__categories": 3,
    "model__mask_vae__prior": "learned",
    "model__features": 1,
    "model__blocks": 0,
    "likelihood__name": "bernoulli",
    "likelihood__bernoulli__output_layer": False,
    **{f"estimator__{name}__width": 4 for name in ("nvil", "relax", "source_baseline", "source_baseline_unbiased")},
}
HIERARCHY = {
    "model__name": "ctc_hierarchy",
    "model__ctc_hierarchy__levels": 1,
    "likelihood__bernoulli__output_layer": True,
    "model__ctc_hierarchy__channels": 4,
}
TOP_DOWN = {
    "model__name": "top_down",
    "model__top_down__decoder": "2x1,4x1",
    "model__top_down__families": "ctc_pool,none",
    "model__top_down__channels": 4,
    "likelihood__bernoulli__output_layer": True,
}
TWO_OF_TOP = {"model__ctc_hierarchy__top": "ctc", "model__latents": 1, "model__ctc_hierarchy__categories": 2}
SPACE = ImageSpace((4, 4, 1), 1, 1)


@pytest.fixture
def masks(tiny):
    """The tiny config with masks times values, of a kind that the estimator serves."""

    def make(estimator, **changes):
        latent = "ctc" if gradients.CATEGORICAL in gradients.REGISTRY[estimator].kinds else "bernoulli_ctc"
        return tiny(**{**MASKS, "model__mask_vae__latent": latent, "estimator__name": estimator, **changes})

    return make


@pytest.mark.parametrize("name", [name for name, part in gradients.REGISTRY.items() if part.kinds])
def test_an_estimator_trains_what_it_should(masks, name):
    config = masks(name, train__ema_decay=0.5, train__learning_rate=0.01)
    model = training.build_model(config, SPACE)
    step = training.build_step(config, model)
    images = np.random.default_rng(0).integers(0, 2, (3, 8, 4, 4, 1)).astype(np.uint8)

    @jax.jit
    def train(images):
        start = step.init()
        return start.params, *step(start, Batch(images, jnp.zeros((3, 8), jnp.int32)))

    before, after, metrics = jax.device_get(train(images))
    assert all(np.isfinite(values).all() for values in metrics.values())
    assert ("estimator" in before) == bool(gradients.REGISTRY[name].learned)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, after.params)
    assert min(jax.tree.leaves(moved["posterior"])) > 1e-3
    assert min(jax.tree.leaves(moved["first"])) > 1e-3
    assert all(max(jax.tree.leaves(part)) > 0 for part in moved.get("estimator", {}).values())


def test_no_gradient_of_the_estimators_own_loss_reaches_the_model(masks):
    """Another baseline changes the model's gradient by its noise alone: none where the signal is fixed at its value."""
    config = masks("nvil")
    model = training.build_model(config, SPACE)
    params = jax.jit(model.init)(jax.random.key(0))
    images = np.random.default_rng(0).integers(0, 2, (64, 4, 4, 1)).astype(np.uint8)
    batch = Batch(jnp.asarray(images), jnp.zeros(64, jnp.int32))

    def bound(params, key):
        terms = model.bound(params, key, batch)
        return jnp.mean(terms.log_likelihood - terms.kl["z"])

    keys = jax.random.split(jax.random.key(1), 512)
    moved = {**params, "estimator": jax.tree.map(lambda leaf: leaf + 1.0, params["estimator"])}
    compute = jax.jit(jax.vmap(jax.grad(bound), in_axes=(None, 0)))
    one, other = compute(params, keys), compute(moved, keys)
    np.testing.assert_array_equal(one["first"]["kernel"], other["first"]["kernel"])  # pathwise: no baseline in it
    difference = np.asarray(one["posterior"]["kernel"] - other["posterior"]["kernel"])
    error = difference.std(axis=0) / np.sqrt(len(keys))
    np.testing.assert_array_less(np.abs(difference.mean(axis=0)), 4.5 * error + 1e-6)
    assert difference.std() > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model__mask_vae__latent": "ctc", "estimator__name": "disarm"},
            r"estimator\.name is 'disarm'; .*categorical masks",
        ),
        ({"model__mask_vae__latent": "bernoulli", "estimator__name": "gumbel_rao"}, r"'gumbel_rao'; .*bernoulli masks"),
        ({"model__mask_vae__latent": "bernoulli", "estimator__name": "pathwise"}, r"'pathwise'; .*rloo"),
        ({"model__latents": 20, "estimator__name": "enumerate"}, r"at most 65,536 rewards .* 20 masks of 2"),
        ({"estimator__name": "rloo", "estimator__rloo__samples": 1}, r"estimator\.rloo\.samples is 1"),
        ({"model__name": "mlp_vae", "estimator__name": "rloo"}, r"'rloo'; .*pathwise"),
        (
            {**HIERARCHY, "estimator__name": "rloo", "objective__elbo__free_nats": 1.0},
            r"free_nats is 1\.0; allowed: 0 with .* rloo",
        ),
        ({**HIERARCHY, "estimator__name": "single_flips"}, r"'single_flips'; .*without a linear layer.*reinmax"),
        ({**HIERARCHY, "estimator__name": "enumerate"}, r"at most 65,536 rewards .* 16 masks of 4"),
        # 65,536 masks of level 1, each of which meets both of the top.
        (
            {**HIERARCHY, "model__ctc_hierarchy__channels": 2, **TWO_OF_TOP, "estimator__name": "enumerate"},
            r"at most 65,536 rewards .* 8 masks of 4 and 1 masks of 2",
        ),
        (
            {**HIERARCHY, "model__ctc_hierarchy__families": "ctc_relu", "estimator__name": "gumbel_rao"},
            r"bernoulli masks.*straight_",
        ),
        ({"model__features": 2, "estimator__name": "rloo"}, r"model\.features is 2; .*one for each channel"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_model_is_built(tiny, changes, words):
    config = tiny(**{**MASKS, **changes})
    with pytest.raises(ConfigError, match=words):
        jax.eval_shape(training.build_step(config, training.build_model(config, SPACE)).init)


def test_the_mean_image_is_that_of_the_training_part_and_is_known_where_it_is_asked_for(masks):
    experiment = training.build(masks("rloo", model__mask_vae__centered=True))
    images = experiment.dataset.train.images.astype(np.float64)
    np.testing.assert_allclose(experiment.space.mean, images.mean(axis=0).ravel() / 255, atol=1e-6)
    assert experiment.model.network.mean_image == experiment.space.mean
    assert training.image_space(experiment.dataset).mean == ()


def run(config, workdir, **options):
    mesh = options.pop("mesh", None)
    experiment = training.build(config, mesh)
    outcome = training.train(experiment, workdir, stream=io.StringIO(), **options)
    checkpoints = Checkpoints(workdir / "checkpoints")
    state = checkpoints.restore(jax.eval_shape(experiment.step.init), experiment.sharding).state
    checkpoints.close()
    return outcome, state


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "site"),
    [
        pytest.param({}, "z", id="mask_vae"),
        pytest.param(HIERARCHY, "level_1", id="ctc_hierarchy"),
        pytest.param(TOP_DOWN, "2x2.1", id="top_down"),
    ],
)
def test_learned_parameters_resume_to_the_same_bits_on_any_number_of_devices(masks, tmp_path, changes, site):
    config = masks("nvil", train__ema_decay=0.9, train__clip_norm=1.0, **changes)
    _, whole = run(config, tmp_path / "whole")
    asked = iter([False] * 4 + [True])
    outcome, _ = run(config, tmp_path / "broken", interrupted=lambda: next(asked))
    assert outcome is Outcome.INTERRUPTED
    _, broken = run(config, tmp_path / "broken")
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(broken), strict=True):
        np.testing.assert_array_equal(a, b)
    learned = whole.params["estimator"][site]
    assert learned["moving_averages"]["signal"] != 0
    run(config, tmp_path / "one", mesh=data_mesh(jax.devices()[:1]))
    lines = [read_history(tmp_path / name) for name in ("whole", "one")]
    for four, one in zip(*lines, strict=True):
        np.testing.assert_allclose(four["elbo_nats"], one["elbo_nats"], rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [pytest.param({}, id="mask_vae"), pytest.param(HIERARCHY, id="ctc_hierarchy", marks=pytest.mark.slow)],
)
def test_the_importance_weighted_objective_trains_masks(masks, changes):
    objective = {"objective__name": "importance_weighted", "objective__importance_weighted__samples": 3}
    config = masks("rloo", **objective, train__steps=300, train__learning_rate=0.015, **changes)
    model = training.build_model(config, SPACE)
    step = training.build_step(config, model)
    image = np.random.default_rng(0).integers(0, 2, (1, 1, 4, 4, 1)).astype(np.uint8)
    images = jnp.asarray(np.broadcast_to(image, (300, 8, 4, 4, 1)))
    train = jax.jit(lambda: step(step.init(), Batch(images, jnp.zeros((300, 8), jnp.int32))))
    metrics = train()[1]
    bound = np.asarray(metrics["importance_bound_nats"])
    # One image again and again: at the end the model knows it, whose entropy is 0.
    assert bound[:10].mean() < -10
    assert bound[-10:].mean() > -1
