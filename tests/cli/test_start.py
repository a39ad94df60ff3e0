"""What the launcher has imported and begun when it ends early, in place of the seconds that this takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

from configs import mnist_bernoulli

ROOT = Path(__file__).parents[2]
# Each takes as long to import as all of JAX, or initializes devices, or belongs to sweeps and pictures alone.
HEAVY = {"orbax", "tensorstore", "tensorflow_datasets", "matplotlib", "submitit", "tensorboardX", "blackjax", "wandb"}
PROGRAM = f"""
import gc, sys
import jax
from ctc_jax.cli.start import start
try:
    start()
except SystemExit as end:
    loaded = {{name.partition(".")[0] for name in sys.modules}} & {HEAVY}
    scipy = {{"scipy.stats"}} & set(sys.modules)
    jax.config.update("jax_num_cpu_devices", 3)  # refused once a backend has begun
    print("ended", end.code or 0, sorted(loaded | scipy), gc.isenabled())
"""


def told(*arguments: str) -> list[str]:
    own = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, env=own, capture_output=True, text=True, check=True
    )
    return (done.stderr + done.stdout).splitlines()


def test_a_wrong_key_imports_only_what_states_keys():
    first, last = told("--config=configs/shapes_ctc.py", "--config.train.stepz=3")
    assert "did you mean train.steps?" in first
    assert last == "ended 2 [] True"


def test_a_finished_run_is_told_before_anything_begins(tmp_path):
    config = mnist_bernoulli.get_config()
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    last = {"step": config.train.steps, "bound_bpd": 1.5}
    lines = [{"split": split, **last} for split in ("train", "validation", "test")]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "report.html").touch()
    first, last = told("--config=configs/mnist_bernoulli.py", f"--workdir={tmp_path}")
    assert first.startswith("this run is finished: bound 1.5")
    assert last == "ended 0 [] True"
