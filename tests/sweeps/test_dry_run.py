import json
import shlex
from pathlib import Path

import pytest

from configs import base
from ctc_jax.errors import UserError
from ctc_jax.sweeps import dry_run, execute

SWEEP = """
RESOURCES = {"kubernetes": {"image": "registry/ctc:1", "claim": "runs"}}
def get_overrides():
    yield {"likelihood.name": "ctc", "seed": 1}
    yield {"seed": 2}
"""


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "sweep.py"
    path.write_text(SWEEP)
    return str(path)


def test_runs_workdirs_and_commands_are_listed_and_nothing_is_made(tmp_path, sweep):
    root = tmp_path / "of the sweep"
    said = dry_run("configs/a.py:cpu", sweep, executor="local", root=root, config=base.get_config()).splitlines()
    assert said[:3] == ["2 runs, executor local", "likelihood.name=ctc,seed=1", f"  {root}/likelihood.name=ctc,seed=1"]
    assert shlex.split(said[3]) == [
        "ctc-jax",
        "--config=configs/a.py:cpu",
        "--mode=train",
        f"--workdir={root}/likelihood.name=ctc,seed=1",
        "--config.likelihood.name=ctc",
        "--config.seed=1",
    ]
    assert not root.exists()


def test_of_kubernetes_the_manifest_is_given(sweep):
    config = base.get_config()
    said = json.loads(dry_run("a.py", sweep, executor="kubernetes", root=Path("/runs/s"), config=config))
    assert [item["kind"] for item in said["items"]] == ["Job", "Job"]


def test_without_a_dry_run_kubernetes_is_refused(tmp_path, sweep):
    shared = {"executor": "kubernetes", "root": tmp_path / "root", "config": base.get_config()}
    with pytest.raises(
        UserError, match="--executor is 'kubernetes'; allowed: local, slurm, and kubernetes with --dry_run"
    ):
        execute("a.py", sweep, **shared)
    assert not (tmp_path / "root").exists()
