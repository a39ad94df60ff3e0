import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from configs import base
from ctc_jax import training
from ctc_jax.cli import interrupts, modes
from ctc_jax.errors import UserError
from ctc_jax.models import ImageSpace
from ctc_jax.options import flatten
from ctc_jax.reporting import save_bytes, save_png
from ctc_jax.run import Run


class FakeRun(Run):
    """Its figures and its data are made up."""

    @property
    def dataset(self):
        return SimpleNamespace(test=[None] * 5)

    def evaluate(self, section, *, pictures):
        assert pictures.name == "samples"
        return {"elbo_nats": -1.0, "images": 5}


@pytest.fixture
def work(tmp_path):
    config = base.get_config()
    config.report.tensorboard = False
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    (tmp_path / "provenance.json").write_text("{}")
    images = {"shape": [8, 8, 1], "bits": 8, "classes": 0, "mean": [], "fingerprint": ""}
    (tmp_path / "images.json").write_text(json.dumps(images))
    return modes._Work(config, tmp_path, interrupts.Interrupts(), ["launch.py"], flatten(base.get_config().to_dict()))


@pytest.mark.parametrize(("mode", "drawn", "tested"), [("evaluate", 1, 1), ("sample", 1, 0), ("report", 0, 0)])
def test_the_stages_of_a_mode_restore_the_run_once(work, monkeypatch, mode, drawn, tested):
    loads, pictures = [], []
    space = ImageSpace((8, 8, 1), 8, 0)
    model = training.build_model(work.config, space)

    def load(workdir):
        loads.append(workdir)
        return FakeRun(workdir, base.get_config(), 3, {}, model, space, [], "")

    monkeypatch.setattr(modes, "load", load)
    for name in ("draw_pictures", "draw_code_pictures"):
        monkeypatch.setattr(modes.evaluation, name, lambda *_, **__: pictures.append(1))
    assert [stage(work) for stage in modes.MODES[mode]] == [None] * len(modes.MODES[mode])
    assert (len(loads), len(pictures)) == (drawn, 2 * drawn)
    lines = (work.workdir / "metrics.jsonl").read_text().splitlines() if tested else []
    assert [json.loads(line)["split"] for line in lines] == ["test"] * tested
    page = (work.workdir / "report.html").read_text()
    assert "conv_vae" in page
    assert "differs from the defaults" in page  # here TensorBoard is off


def test_tensorboard_gets_the_pictures_and_what_tells_runs_apart(work, monkeypatch):
    work.config.report.tensorboard = True
    model = training.build_model(work.config, ImageSpace((8, 8, 1), 8, 0))
    run = FakeRun(work.workdir, base.get_config(), 3, {}, model, ImageSpace((8, 8, 1), 8, 0), [], "")

    def draw(*given, **rest):
        save_png(given[3] / "samples.png", np.zeros((4, 4, 3), np.uint8))
        save_bytes(given[3] / "unit_kl.svg", b"<svg></svg>")

    monkeypatch.setattr(modes, "load", lambda workdir: run)
    for name in ("draw_pictures", "draw_code_pictures"):
        monkeypatch.setattr(modes.evaluation, name, draw)
    assert [stage(work) for stage in modes.MODES["evaluate"]] == [None] * 3
    written = b"".join(path.read_bytes() for path in (work.workdir / "tensorboard").iterdir())
    for tag in (b"samples", b"test/elbo_nats", b"likelihood.ctc.components"):
        assert tag in written
    for tag in (b"unit_kl", b"likelihood.categorical"):  # no picture for TensorBoard; not the likelihood of this run
        assert tag not in written


def test_platforms_that_are_not_there_are_told_in_one_line(monkeypatch):
    def none():
        raise RuntimeError("Unknown backend: 'cuda' requested\nmore")

    monkeypatch.setattr(jax, "devices", none)
    with pytest.raises(UserError, match="JAX finds no devices of JAX_PLATFORMS=cpu: Unknown backend: 'cuda'"):
        modes.check_backend()
