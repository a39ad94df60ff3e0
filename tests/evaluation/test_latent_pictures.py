import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import base
from ctc_jax import training
from ctc_jax.data import Batch, Split
from ctc_jax.evaluation.latent_pictures import WINDOW_COLORS, _of_choice, draw_latent_pictures
from ctc_jax.evaluation.pictures import draw_pictures
from ctc_jax.models import ImageSpace, Masked
from ctc_jax.reporting import grid, labeled_rows, mean_and_samples

TINY = {
    "model.name": "ctc_hierarchy",
    "model.ctc_hierarchy.levels": 2,
    "model.width": 3,
    "model.blocks": 0,
    "model.features": 2,
    "model.latents": 2,
    "model.ctc_hierarchy.channels": 4,
    "likelihood.name": "bernoulli",
}
IMAGES = np.random.default_rng(0).integers(0, 2, (10, 8, 8, 1)).astype(np.uint8)
SPLIT = Split(IMAGES, np.zeros(10, np.int32))


@pytest.fixture(scope="module")
def build():
    """A hierarchy by its families, and parameters with which masks and images differ."""

    def make(families):
        masked = families not in ("none", "gaussian")
        estimator = "straight_through" if masked else "pathwise"
        config = base.experiment({**TINY, "model.ctc_hierarchy.families": families, "estimator.name": estimator})
        model = training.build_model(config, ImageSpace((8, 8, 1), 1, 1))
        random = np.random.default_rng(1)
        params = jax.jit(model.init)(jax.random.key(0))
        return model, jax.tree.map(lambda leaf: leaf + 0.7 * random.standard_normal(leaf.shape, np.float32), params)

    return make


@pytest.fixture(scope="module")
def pooled(build, tmp_path_factory):
    """A model, its parameters, and the pictures drawn."""
    model, params = build("ctc_pool,ctc_relu")
    folder = tmp_path_factory.mktemp("run")
    pictures = draw_latent_pictures(model, params, SPLIT, folder, levels=1, seed=3)
    return model, params, {picture.path.stem: np.asarray(Image.open(picture.path)) for picture in pictures}


def test_a_picture_of_each_kind_is_drawn(pooled):
    assert pooled[2].keys() == {"one_code", "temperatures", "resolutions", "masks", "what_where"}


def test_images_of_one_code_share_it_and_their_mean_is_at_the_left(pooled):
    model, params, drawn = pooled
    of_codes, of_draws = jax.random.split(jax.random.key(3))
    latents, _ = jax.jit(model.generate, static_argnums=2)(params, of_codes, 8)
    below = jax.jit(lambda key: model.generate(params, key, 8, given={"top": latents["top"]})[1].mean)
    images = np.stack([below(key) for key in jax.random.split(of_draws, 7)], axis=1)
    assert np.abs(images - images.mean(axis=1, keepdims=True)).max() > 0.05
    expected = mean_and_samples(images.mean(axis=1), images, levels=1, heading="draws below").astype(int)
    assert np.abs(drawn["one_code"].astype(int) - expected).max() <= 1  # rounding to shades


def test_all_drawn_is_a_sample_and_nothing_drawn_the_center_of_the_prior(pooled):
    """The last column of both pictures, and their first."""
    model, params, drawn = pooled
    sample = jax.jit(lambda key: model.generate(params, key, 8)[1].mean)(jax.random.key(3))
    for name, columns in (("temperatures", 7), ("resolutions", 4)):
        whole = drawn[name].astype(int)
        alone = labeled_rows(np.asarray(sample)[:, None], [""], levels=1).astype(int)
        step = (whole.shape[1] - 2) // columns
        np.testing.assert_allclose(whole[20:, -step:-2], alone[20:, 2:-2], atol=1)
        cell = 96 + 2
        first = whole[20 : 20 + cell * 8, 2:step].reshape(8, cell, step - 2, 3)
        np.testing.assert_array_equal(first, np.broadcast_to(first[:1], first.shape))
    # In between, every latent of one resolution more is drawn.
    assert (whole[20:, 2 + step : 2 * step] != whole[20:, 2 + 2 * step : 3 * step]).any()


def test_with_its_own_masks_an_image_is_its_reconstruction(pooled):
    model, params, drawn = pooled
    batch = Batch(jnp.asarray(IMAGES[np.arange(6) * 10 // 6]), jnp.zeros(6, jnp.int32))
    own = np.asarray(
        jax.jit(lambda params, key: model.infer(params, key, batch).pixels.mean)(params, jax.random.key(3))
    )
    gray = np.full_like(own[:1], 0.5)
    alone = grid(np.concatenate([gray, own]), 7, levels=1).astype(int)
    cell = alone.shape[0]  # with its gaps
    step = drawn["what_where"].shape[1] // 7
    assert (drawn["what_where"].shape[0] - 2) // 7 == step
    for row in range(6):
        at = slice(2 + (row + 1) * step, (row + 2) * step), slice(2 + (row + 1) * step, (row + 2) * step)
        expected = alone[2 : cell - 2, 2 + (row + 1) * step : (row + 2) * step]
        assert np.abs(drawn["what_where"][at].astype(int) - expected).max() <= 1


def test_values_at_the_row_are_put_where_the_mask_of_the_column_is(pooled):
    """Cell (1, 4), with loops: values of image 1 at the positions of image 4, gates and top code of image 1."""
    model, params, drawn = pooled
    batch = Batch(jnp.asarray(IMAGES[np.arange(6) * 10 // 6]), jnp.zeros(6, jnp.int32))
    latents = jax.jit(lambda key: model.infer(params, key, batch).latents)(jax.random.key(3))
    value, mask = (np.asarray(of) for of in latents["level_1"])
    values_of, masks_of = 1, 4
    mixed = np.zeros_like(value[:1])
    for place in range(mixed.shape[1]):
        mixed[0, place, mask[masks_of, place].argmax()] = value[values_of, place, mask[values_of, place].argmax()]
    assert (mask[values_of] != mask[masks_of]).any()
    own = jax.tree.map(lambda leaf: leaf[values_of : values_of + 1], latents)
    own["level_1"] = Masked(jnp.asarray(mixed), jnp.asarray(mask[masks_of : masks_of + 1]))
    expected = np.asarray(jax.jit(model.decode)(params, own).mean)
    step = drawn["what_where"].shape[1] // 7
    row, column = (slice(2 + (image + 1) * step, (image + 2) * step) for image in (values_of, masks_of))
    alone = grid(expected, 1, levels=1).astype(int)[2:-2, 2:-2]
    assert np.abs(drawn["what_where"][row, column].astype(int) - alone).max() <= 1


def test_where_all_positions_are_alike_is_black_and_an_open_gate_is_white(build, tmp_path):
    """Masks set by their logits: all positions alike, which is black, and every gate open."""
    model, params = build("ctc_pool,ctc_relu")
    for name in ("priors_0", "posteriors_0", "priors_1", "posteriors_1"):
        logits = params[name]["parameters"]["logits"]
        params[name]["parameters"]["logits"] = jax.tree.map(jnp.zeros_like, logits)
    params["priors_1"]["parameters"]["logits"]["bias"] += 60.0
    draw_latent_pictures(model, params, SPLIT, tmp_path, levels=1, seed=0)
    picture = np.asarray(Image.open(tmp_path / "masks.png"))
    columns = 1 + 3 + 3
    step = picture.shape[1] // columns
    middle = picture[2 + step // 2 - 4, [2 + column * step + step // 2 for column in range(columns)]]
    np.testing.assert_array_equal(middle[1:4], 0)  # all four positions alike: no color
    np.testing.assert_array_equal(middle[4:], 255)


def test_a_certain_position_has_its_color():
    probs = np.eye(4)[None, None]
    np.testing.assert_array_equal(_of_choice(probs)[0, 0], WINDOW_COLORS)
    np.testing.assert_allclose(_of_choice(0.5 * probs + 0.125)[0, 0], 0.5 * WINDOW_COLORS)


def test_colors_are_told_apart():
    apart = np.abs(WINDOW_COLORS[:, None] - WINDOW_COLORS[None]).sum(-1) + 1e3 * np.eye(4)
    assert apart.min() > 100


@pytest.mark.slow
def test_without_levels_there_is_nothing_to_show_and_without_masks_one_picture(build, tmp_path):
    for families, names in (("none", []), ("gaussian", ["one_code", "temperatures", "resolutions"])):
        found = draw_latent_pictures(*build(families), SPLIT, tmp_path / families, levels=1, seed=0)
        assert [picture.path.stem for picture in found] == names


@pytest.mark.slow
def test_they_follow_the_pictures_of_any_model(build, tmp_path):
    model, params = build("ctc_pool,ctc_relu")
    names = [p.path.stem for p in draw_pictures(model, params, SPLIT, tmp_path, levels=1, seed=0)]
    of_latents = ["one_code", "temperatures", "resolutions", "masks", "what_where"]
    assert names == ["samples", "reconstructions", "mean_and_samples", *of_latents]


def test_a_model_that_paints_shows_how(tmp_path):
    """At most so many times in the strip, the first and the last among them, and all of them in the animation."""
    config = base.experiment(
        {
            "model.name": "draw",
            "model.draw.glimpses": 14,
            "model.draw.write_size": 2,
            "model.width": 3,
            "model.features": 2,
            "model.latents": 2,
            "likelihood.name": "bernoulli",
        }
    )
    model = training.build_model(config, ImageSpace((8, 8, 1), 1, 1))
    random = np.random.default_rng(1)
    params = jax.jit(model.init)(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.7 * random.standard_normal(leaf.shape, np.float32), params)
    found = draw_latent_pictures(model, params, SPLIT, tmp_path, levels=1, seed=3)
    pictures = {picture.path.stem: picture.path for picture in found}
    assert list(pictures) == ["one_code", "temperatures", "resolutions", "canvas", "painting"]

    @jax.jit
    def frames():
        return model.frames(params, model.generate(params, jax.random.key(3), 16)[0])

    frames = np.asarray(frames())
    shown = [0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 13, 14]
    expected = labeled_rows(np.swapaxes(frames[shown, :8], 0, 1), [str(time) for time in shown], levels=1)
    assert np.abs(np.asarray(Image.open(pictures["canvas"])).astype(int) - expected).max() <= 1
    with Image.open(pictures["painting"]) as animation:
        assert animation.n_frames == 15
        animation.seek(14)
        last = np.asarray(animation.convert("RGB")).astype(int)
    assert np.abs(last - grid(frames[-1], 8, levels=1)).mean() < 2  # of 256 colors
