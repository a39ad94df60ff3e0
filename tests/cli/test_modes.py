import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from configs import base
from ctc_jax.cli import interrupts, modes
from ctc_jax.errors import UserError


@dataclass
class FakeRun:
    """What the stages ask of a run."""

    config: Any
    known_dataset: Any = None
    step: int = 3
    model: Any = None
    params: Any = None
    space: Any = SimpleNamespace(bits=8)

    @property
    def dataset(self):
        return SimpleNamespace(test=[None] * 5)

    def evaluate(self, section):
        return {"elbo_nats": -1.0, "images": 5}


@pytest.fixture
def work(tmp_path):
    config = base.get_config()
    config.report.tensorboard = False
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    (tmp_path / "provenance.json").write_text("{}")
    return modes._Work(config, tmp_path, interrupts.Interrupts(), ["launch.py"])


@pytest.mark.parametrize(("mode", "drawn", "tested"), [("evaluate", 1, 1), ("sample", 1, 0), ("report", 0, 0)])
def test_the_stages_of_a_mode_restore_the_run_once(work, monkeypatch, mode, drawn, tested):
    loads, pictures = [], []

    def load(workdir):
        loads.append(workdir)
        return FakeRun(base.get_config())

    monkeypatch.setattr(modes, "load", load)
    monkeypatch.setattr(modes.evaluation, "draw_pictures", lambda *_, **__: pictures.append(1))
    assert [stage(work) for stage in modes.MODES[mode]] == [None] * len(modes.MODES[mode])
    assert (len(loads), len(pictures)) == (drawn, drawn)
    lines = (work.workdir / "metrics.jsonl").read_text().splitlines() if tested else []
    assert [json.loads(line)["split"] for line in lines] == ["test"] * tested
    assert (work.workdir / "report.html").is_file()


def test_platforms_that_are_not_there_are_told_in_one_line(monkeypatch):
    def none():
        raise RuntimeError("Unknown backend: 'cuda' requested\nmore")

    monkeypatch.setattr(jax, "devices", none)
    with pytest.raises(UserError, match="JAX finds no devices of JAX_PLATFORMS=cpu: Unknown backend: 'cuda'"):
        modes.check_backend()
