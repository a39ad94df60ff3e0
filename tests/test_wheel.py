"""The package as `pip install` leaves it: no clone at hand, another folder, the experiments found all the same."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.test_launch import TINY

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel's files."""
    folder, clone = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("clone")
    # Built elsewhere: what an earlier build left in this folder would go into the wheel.
    for name in ("ctc_jax", "configs"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*ROOT.glob("requirements*.txt"), ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE"]:
        shutil.copy(path, clone)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(clone)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution" in done.stderr:
        pytest.skip("no package index to get setuptools from")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def command(installed, cwd, *words):
    code = "from ctc_jax.cli.start import start; start()"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(installed)}
    environment["XDG_CACHE_HOME"] = str(cwd)
    line = [sys.executable, "-P", "-c", code, *words]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_holds_the_package_the_experiments_and_the_command_alone(installed):
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"configs", "ctc_jax"}
    for folder in ("configs", "ctc_jax"):
        here = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
        assert {path.relative_to(installed) for path in (installed / folder).rglob("*.py")} == here
    assert (installed / "ctc_jax" / "py.typed").exists()
    (points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "ctc-jax = ctc_jax.cli.start:start" in points.read_text()


@pytest.mark.slow
def test_it_trains_and_sweeps_from_another_folder(installed, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "pixels.npz", images=images)
    words = [*TINY, "--config.train.steps=2", f"--config.data.npz.path={tmp_path}/pixels.npz"]
    (tmp_path / "sweep.py").write_text("def get_overrides():\n    yield {'seed': 1}\n")
    done = command(installed, tmp_path, *words, "--sweep=sweep.py", "--workdir=swept")
    log = (tmp_path / "swept" / "logs" / "seed=1.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log
    assert (tmp_path / "swept" / "seed=1" / "report.html").exists()
    provenance = json.loads((tmp_path / "swept" / "seed=1" / "provenance.json").read_text())
    assert provenance["git_commit"] == ""
