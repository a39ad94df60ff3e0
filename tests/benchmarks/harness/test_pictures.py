from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from benchmarks.harness import pictures
from benchmarks.harness.pictures import COLORS, compress, copy_pictures, file_name, save_figure
from ctc_jax.reporting.pictures import mean_and_samples


def test_a_picture_keeps_its_size_and_nearly_its_colors(tmp_path):
    ramp = np.zeros((64, 256, 3), np.uint8) + np.arange(256, dtype=np.uint8)[:, None]
    Image.fromarray(ramp).save(tmp_path / "in.png")
    compress(tmp_path / "in.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as kept:
        found = np.asarray(kept.convert("RGB")).astype(int)
    assert found.shape == ramp.shape
    assert np.abs(found - ramp).max() <= 256 // COLORS
    assert len(np.unique(found.reshape(-1, 3), axis=0)) <= COLORS


def test_what_colors_do_not_make_small_enough_is_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_BYTES", 3_000)
    noise = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    compress(tmp_path / "noise.png", tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size <= 3_000
    with Image.open(tmp_path / "noise.png") as kept:
        assert kept.size == (50, 40)


def test_a_file_is_named_by_its_words_without_marks():
    assert file_name("ctc of patch:4") == "ctc-of-patch-4"
    assert file_name("seed=0,model.families=ctc_pool") == "seed-0-model.families-ctc_pool"


def test_a_runs_pictures_are_copied_and_shown_where_there_are_any(tmp_path):
    (tmp_path / "run" / "samples").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "run" / "samples" / "one_code.png")
    run = SimpleNamespace(workdir=tmp_path / "run")
    lines = copy_pictures(run, tmp_path / "page", ("samples", "one_code"), "ctc, gaussian levels")
    assert lines == ["ctc, gaussian levels, one code:\n\n![one code](page/ctc-gaussian-levels-one_code.png)"]
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["ctc-gaussian-levels-one_code.png"]


def test_a_large_picture_of_a_run_keeps_the_upper_half_of_its_rows(tmp_path, monkeypatch):
    samples = tmp_path / "run" / "samples"
    samples.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    whole = mean_and_samples(images, np.repeat(images[:, None], 3, axis=1), levels=256)
    Image.fromarray(whole).save(samples / "one_code.png")
    run = SimpleNamespace(workdir=tmp_path / "run")
    copy_pictures(run, tmp_path / "page", ("one_code",), "ctc")
    with Image.open(tmp_path / "page" / "ctc-one_code.png") as kept:
        assert kept.size == whole.shape[1::-1]
    monkeypatch.setattr(pictures, "MOST_BYTES_OF_A_RUN", 100)
    copy_pictures(run, tmp_path / "page", ("one_code",), "ctc")
    with Image.open(tmp_path / "page" / "ctc-one_code.png") as kept:
        upper = np.asarray(kept.convert("RGB")).astype(int)
    two_rows = mean_and_samples(images[:2], np.repeat(images[:2, None], 3, axis=1), levels=256)
    assert upper.shape == (two_rows.shape[0], whole.shape[1], 3)
    assert np.abs(upper - two_rows).mean() < 20  # few colors; other noise differs by 85


def test_a_figure_is_written_as_it_was_drawn(tmp_path):
    figure = plt.figure(figsize=(2, 1))
    save_figure(figure, tmp_path / "figure.png")
    plt.close(figure)
    with Image.open(tmp_path / "figure.png") as kept:
        assert (kept.size, kept.convert("RGB").getpixel((0, 0))) == ((220, 110), (255, 255, 255))
