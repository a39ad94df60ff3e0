import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.evaluation.refinement import refinement_picture, refinement_statistics
from ctc_jax.inference import MALA, Descent, InferenceOptions, infer
from tests.models.conftest import binary_images, make_model, randomize

__all__ = ["binary_images", "make_model", "randomize"]

CHAINS = InferenceOptions(chains=3, warmup=5, draws=30)


@pytest.fixture(scope="module")
def given(make_model, randomize, binary_images):
    model = make_model("mlp_vae", latents=2)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.5)
    return model, params, jax.random.key(1), Batch(binary_images.image[3:7], binary_images.label[3:7])


def test_numbers_are_those_of_the_chains(given):
    method = MALA(step_size=0.3)
    numbers, found = refinement_statistics(*given, method, CHAINS), infer(*given, method, CHAINS)
    of = {name.removeprefix("inference/mala/"): value for name, value in numbers.items()}
    assert of["inference_images"] == 4
    assert of["gain_nats"] == pytest.approx(of["end_nats"] - of["start_nats"], abs=1e-4)
    assert of["end_nats"] == pytest.approx(found.log_joint[-1].mean(), rel=1e-5)
    assert of["acceptance"] == pytest.approx(found.acceptance.mean(), rel=1e-5)
    ratio = found.potential_scale_reduction()["z"]
    assert of["r_hat"] == pytest.approx(np.median(ratio.max(axis=1)), rel=1e-5)
    assert of["unmixed_share"] == pytest.approx((ratio > 1.01).mean())
    assert of["effective_samples"] == pytest.approx(np.median(found.effective_samples()["z"]), rel=1e-5)
    assert of["wall_seconds"] > 0


def test_descent_and_a_single_chain_have_no_r_hat(given):
    single = InferenceOptions(chains=1, warmup=0, draws=5)
    names = [set(refinement_statistics(*given, method, single)) for method in (Descent(), MALA())]
    assert not [name for name in names[0] | names[1] if "r_hat" in name or "unmixed" in name]
    assert "inference/descent/effective_samples" not in names[0]
    assert "inference/mala/effective_samples" in names[1]


def test_the_picture_has_the_image_the_start_and_the_end(given):
    model, params, _, batch = given
    options = InferenceOptions(warmup=2, draws=10)
    picture = refinement_picture(*given, Descent(), options, levels=1)
    moves = infer(*given, Descent(), InferenceOptions(warmup=0, draws=12))
    # Columns: the image, the start, after 1, 3 and 10 moves, after all 12.
    height, width = 20 + 4 * (96 + 2), 2 + 6 * (96 + 2)
    assert picture.shape == (height, width, 3)
    corners = [[(20 + 98 * row + 4, 2 + 98 * column + 4) for column in range(6)] for row in range(4)]
    cells = [[picture[top::48, left::48, 0][:2, :2] for top, left in row] for row in corners]
    np.testing.assert_array_equal([row[0] for row in cells], 255 * np.asarray(batch.image[..., 0]))
    start = model.infer(params, None, batch).pixels.mean[..., 0]
    end = model.decode(params, {"z": Masked(jnp.asarray(moves.latents["z"].value[-1, 0]))}).mean[..., 0]
    for column, expected in ((1, start), (5, end)):
        np.testing.assert_allclose([row[column] for row in cells], 255 * np.asarray(expected), atol=0.51)


@pytest.mark.slow
def test_masks_are_moved_and_shown(make_model, randomize, binary_images):
    model = make_model("mask_vae", latent="ctc", latents=2)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.5)
    given = model, params, jax.random.key(1), Batch(binary_images.image[3:7], binary_images.label[3:7]), MALA(), CHAINS
    numbers = refinement_statistics(*given)
    assert np.isfinite([*numbers.values()]).all()
    assert refinement_picture(*given, levels=1).ndim == 3
