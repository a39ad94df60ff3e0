"""Whatever JSON stands in the files of a run, it is read, or refused in one line."""

import json
import math
import random

import pytest

from configs import base
from ctc_jax.errors import UserError
from ctc_jax.options import flatten
from ctc_jax.reporting import overview, read_history, write_report
from ctc_jax.runs import begin, claim, read_config, read_json
from ctc_jax.saved_run import build_saved, read_images

OTHERS = [None, True, -1, 0, 1.5, 10**30, math.nan, "", "x", [], [1], [[]], {}, {"a": 1}, {"": None}]
CHANGES = {"model.name": "mlp_vae", "model.latents": 2, "model.width": 4, "model.blocks": 1, "model.features": 2}
IMAGES = {"shape": [4, 4, 1], "bits": 8, "classes": 0, "mean": [], "fingerprint": "f"}
LINES = [{"step": 1, "split": "train", "elbo_nats": -1.5}, {"step": 2, "split": "test", "images": 5, "x": "NaN"}]


@pytest.fixture
def workdir(tmp_path):
    config = base.experiment({**CHANGES, "likelihood.name": "categorical"})
    with claim(tmp_path, config.to_dict()):
        begin(tmp_path, config.to_dict(), IMAGES, ["launch.py"])
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return tmp_path


def damaged(content, rng):
    """A copy in which one thing, at any depth, is another one, is gone, or is of another name."""
    copy = json.loads(json.dumps(content))
    place = copy
    while True:
        key = rng.choice([*place]) if isinstance(place, dict) else rng.randrange(len(place))
        if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.8:
            place = place[key]
            continue
        way = rng.randrange(3)
        if way == 0 or isinstance(place, list):
            place[key] = rng.choice(OTHERS)
        elif way == 1:
            del place[key]
        else:
            place[key + rng.choice(["x", ".", ""]) or "x"] = place.pop(key)
        return copy


def read(workdir):
    """All that is read of a run but its checkpoints."""
    history = read_history(workdir)
    space, _ = read_images(workdir)
    saved, provenance = read_config(workdir), read_json(workdir / "provenance.json")
    config, _, _ = build_saved(workdir, saved, space)
    about = overview(flatten(saved), space.shape, space.bits, history, provenance)
    page = {"summary": {}, "pictures": (), "config": config.to_dict(), "provenance": provenance, "about": about}
    write_report(workdir / "report.html", title="run", history=history, **page)


def test_the_files_of_a_run_are_read(workdir):
    read(workdir)
    assert (workdir / "report.html").is_file()


@pytest.mark.parametrize(
    ("name", "tries"), [("config.json", 60), ("images.json", 60), ("provenance.json", 8), ("metrics.jsonl", 40)]
)
def test_a_change_of_a_file_is_read_or_refused_in_one_line(workdir, name, tries):
    path, rng = workdir / name, random.Random(0)
    whole, refused = path.read_text(), []
    for _ in range(tries):
        lines = [json.loads(line) for line in whole.splitlines()] if name == "metrics.jsonl" else json.loads(whole)
        changed = damaged(lines, rng)
        path.write_text("\n".join(map(json.dumps, changed)) if name == "metrics.jsonl" else json.dumps(changed))
        try:
            read(workdir)
        except UserError as error:
            refused.append(str(error))
    assert not [words for words in refused if "\n" in words]
    assert refused or name == "provenance.json"  # of which all is shown as it is
