import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import numpyro.distributions as dist
import pytest

from benchmarks.claims import choice_judges
from benchmarks.claims.choice_judges import center_of_mass, codes, follows_masks, judge, judged, place
from ctc_jax.data import Batch, Dataset, Split
from ctc_jax.data.variation import Variation
from ctc_jax.distributions import CATEGORICAL, MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.models import ImageSpace
from tests.toys import Silent

SIDE = 8
DOT = np.ones((50, 1, 1, 1), np.uint8)


class Dots(Silent):
    """A dot's place in a mask of 64 alternatives, and beside it as a one-hot code; the parameter is the share of the
    former in what is painted. A third latent knows nothing."""

    image_shape = (SIDE, SIDE, 1)
    latents = ("code", "blind", "level_1")
    mask_sites = (MaskSite("level_1", CATEGORICAL, (1, SIDE**2), valued=True, grid=(1, 1, 1)),)

    def infer(self, params, key, batch, *, schedule=None):
        flat = batch.image.reshape(len(batch.image), 1, -1).astype(jnp.float32)
        posterior = MaskedDistribution(CATEGORICAL, 40.0 * flat, dist.Normal(jnp.ones_like(flat), 1e-6))
        masks = posterior.center if key is None else posterior.sample(key)
        draws = {"level_1": masks, "code": Masked(flat[:, 0]), "blind": Masked(jnp.ones((len(flat), 3)))}
        sites = {name: SimpleNamespace(posterior=posterior, draw=draw) for name, draw in draws.items()}
        return SimpleNamespace(sites=sites, latents=draws)

    def decode(self, params, latents):
        mean = params * latents["level_1"].product[:, 0] + (1.0 - params) * latents["code"].value
        return SimpleNamespace(mean=mean.reshape(-1, *self.image_shape))


DOTS = Dots()  # one, so that it is compiled once


@dataclasses.dataclass(frozen=True)
class Dotted:
    """A run of them, whose samples are its test images."""

    workdir: Path
    known_dataset: Dataset
    model = DOTS
    params = 1.0
    space = ImageSpace((SIDE, SIDE, 1), 1, 2)
    config = SimpleNamespace(data=ml_collections.ConfigDict())

    @property
    def dataset(self):
        return self.known_dataset

    def sample(self, key, n):
        assert jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)
        return self.dataset.test.images[:n]


def run_of(tmp_path, count=100):
    variation = Variation(1, canvas=SIDE)
    images, corners = variation.draw_with_corners(DOT, np.arange(count) % 50, np.random.default_rng(3))
    test = Split(images, np.zeros(count, np.int32), corners=corners)
    train = Split(DOT.repeat(12, axis=0), np.zeros(600, np.int32), variation=variation)
    return Dotted(tmp_path, Dataset("dots", train, test, test, 1, 2, "none"))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_what_is_painted_follows_masks_as_far_as_they_say_where(tmp_path, share):
    run = run_of(tmp_path)
    batch = Batch(jnp.asarray(run.dataset.test.images, jnp.int32), jnp.zeros(100, jnp.int32))
    found = follows_masks(DOTS, jnp.float32(share), jax.random.key(0), batch)
    assert float(found) == pytest.approx(share, abs=1e-4)


def test_a_place_is_found_in_what_holds_it_and_in_nothing_else(tmp_path, monkeypatch):
    for name, value in (("FITTED", 600), ("TESTED", 100), ("CALL", 100)):
        monkeypatch.setattr(choice_judges, name, value)
    found = place(run_of(tmp_path))
    assert found.keys() == {"pixels", "level_1", "code", "blind", "all", "masks of level_1"}
    assert min(found[name] for name in ("pixels", "code", "all", "masks of level_1")) > 0.95
    assert found["blind"] == pytest.approx(0.0, abs=0.1)


def test_codes_are_those_of_all_images(tmp_path, monkeypatch):
    monkeypatch.setattr(choice_judges, "CALL", 40)
    run = run_of(tmp_path)
    found = codes(run, Split(run.dataset.test.images, run.dataset.test.labels))
    np.testing.assert_array_equal(found["pixels"], run.dataset.test.images.reshape(100, -1))
    assert found["all"].shape == (100, 64 + 3 + 64)


def test_the_center_of_mass_is_from_the_middle_and_weighs_levels():
    image = np.zeros((2, 4, 5, 1), np.int32)
    image[0, 0, 4], image[0, 3, 4] = 1, 3
    np.testing.assert_allclose(center_of_mass(jnp.asarray(image)), [[0.75, 2.0], [0.0, 0.0]], atol=1e-6)


def test_figures_are_kept_beside_the_run_and_not_found_again(tmp_path, monkeypatch):
    for name, value in (("FITTED", 600), ("TESTED", 100), ("CALL", 100), ("SWAPPED", 100), ("SAMPLES", 100)):
        monkeypatch.setattr(choice_judges, name, value)
    run = run_of(tmp_path)
    monkeypatch.setattr(choice_judges, "_dataset", lambda section: run.dataset)
    monkeypatch.setattr(choice_judges, "digit_classifier", lambda section: None)  # dots are no things
    assert judged(run) == {}
    judge(run)
    found = judged(run)
    assert found["whole/samples"] == found["things_a_canvas/real"] == 0.0
    assert found["place/masks of level_1"] > 0.95
    assert found["follows_masks"] == pytest.approx(1.0, abs=1e-4)
    (tmp_path / "judges.json").write_text(json.dumps({"whole/samples": 0.5}))
    judge(run)
    assert judged(run) == {"whole/samples": 0.5}
