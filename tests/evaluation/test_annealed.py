import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from ctc_jax.data import Dataset, Split
from ctc_jax.distributions.masked import Masked
from ctc_jax.errors import ConfigError
from ctc_jax.evaluation.annealed import annealed_statistics
from ctc_jax.evaluation.even_rows import even_rows
from ctc_jax.evaluation.options import SECTION, read_options
from ctc_jax.inference import AnnealingOptions
from tests.models.conftest import binary_images, make_model, randomize

__all__ = ["binary_images", "make_model", "randomize"]


def test_it_is_the_evidence_by_quadrature_and_brackets_the_model_s_own_images(make_model, randomize, binary_images):
    model = make_model("mlp_vae")
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.5)
    split = Split(np.asarray(binary_images.image, np.uint8), np.zeros(16, np.int32))
    options = AnnealingOptions(temperatures=100, chains=64, leapfrogs=3, step_size=0.3)
    numbers = annealed_statistics(model, params, split, images=10, options=options, seed=0)
    grid = jnp.linspace(-8.0, 8.0, 801)
    joint = jax.jit(jax.vmap(lambda z: model.joint(params, binary_images, {"z": Masked(jnp.full((16, 1), z))}).total))
    evidence = (logsumexp(np.float64(joint(grid)), axis=0) + np.log(grid[1] - grid[0]))[even_rows(16, 10)]
    assert numbers["annealed_images"] == 10
    np.testing.assert_allclose(numbers["annealed_bound_nats"], evidence.mean(), atol=0.05)
    np.testing.assert_allclose(numbers["annealed_bound_bpd"], -evidence.mean() / (4 * np.log(2)), atol=0.02)
    assert abs(numbers["annealed_own/gap_nats"]) < 0.1
    between = numbers["annealed_own/upper_nats"] - numbers["annealed_own/lower_nats"]
    assert numbers["annealed_own/gap_nats"] == pytest.approx(between, abs=1e-5)


def test_masks_alone_are_annealed_to_the_evidence_by_enumeration(make_model, randomize, binary_images):
    model = make_model("mask_vae", latents=3)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.5)
    split = Split(np.asarray(binary_images.image, np.uint8), np.zeros(16, np.int32))
    options = AnnealingOptions(temperatures=60, chains=64, windows=2)
    numbers = annealed_statistics(model, params, split, images=10, options=options, seed=0)
    masks = jnp.asarray(list(itertools.product((0.0, 1.0), repeat=3)))[:, None] + jnp.zeros((8, 16, 3))
    joint = jax.jit(jax.vmap(lambda m: model.joint(params, binary_images, {"z": Masked(jnp.ones((16, 3)), m)}).total))
    evidence = logsumexp(np.float64(joint(masks)), axis=0)[even_rows(16, 10)]
    np.testing.assert_allclose(numbers["annealed_bound_nats"], evidence.mean(), atol=0.05)
    assert abs(numbers["annealed_own/gap_nats"]) < 0.1
    assert numbers["annealed_acceptance"] == pytest.approx(1.0)


def test_a_run_that_could_not_be_annealed_is_refused_when_it_is_built(make_model):
    options = {**SECTION.defaults(), "annealed_images": 5}
    dataset = Dataset("d", *[Split(np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, np.int32))] * 3, 8, 1, "none")
    words = (
        r"^config\.evaluate\.annealed_images is 5; allowed: 0: label is given with the image; "
        "it takes a model with a latent that is not given with the image$"
    )
    given = make_model("class_conditional", classes=2)
    with pytest.raises(ConfigError, match=words):
        read_options(options, dataset, given)
    assert read_options(options, dataset, make_model("mask_vae")).annealing == AnnealingOptions()
    assert read_options(options, dataset, make_model("mlp_vae")).annealing.temperatures == 1000
    assert read_options({**options, "annealed_images": 0}, dataset, given).annealed_images == 0
