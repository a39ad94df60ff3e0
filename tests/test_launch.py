"""The launcher as a user meets it: modes, resume, signals, and each mistake told in one line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctc_jax.errors import SAVED_EXIT_CODE

ROOT = Path(__file__).parents[1]
# A run of about a second besides imports and compilation.
TINY = [
    "--config=configs/mnist_bernoulli.py",
    "--config.data.name=npz",
    "--config.data.binarization=threshold",
    "--config.model.width=8",
    "--config.model.latents=2",
    "--config.train.batch_size=8",
    "--config.train.steps=30",
    "--config.train.log_every=5",
    "--config.train.evaluate_every=10",
    "--config.train.checkpoint_every=5",
    "--config.evaluate.importance_samples=3",
    "--config.evaluate.latents=4",
    "--config.report.tensorboard=False",
]


@pytest.fixture(scope="module")
def pixels(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pixels.npz"
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 1), dtype=np.uint8)
    np.savez(path, images=images)
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    cache = tmp_path_factory.mktemp("cache")
    return {**os.environ, "JAX_PLATFORMS": "cpu", "CTC_JAX_DATA": str(cache), "XDG_CACHE_HOME": str(cache)}


def start(environment, *arguments: str, devices: int = 1) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "launch.py", *arguments],
        cwd=ROOT,
        env={**environment, "JAX_NUM_CPU_DEVICES": str(devices)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def launch(environment, *arguments: str, devices: int = 1) -> tuple[int, str]:
    process = start(environment, *arguments, devices=devices)
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


def finished_run(environment, pixels: Path, workdir: Path) -> str:
    code, output = launch(environment, *TINY, f"--config.data.npz.path={pixels}", f"--workdir={workdir}")
    assert code == 0, output
    return output


def latest_parameters(workdir: Path) -> list[np.ndarray]:
    import jax

    import ctc_jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(ctc_jax.load(workdir, "latest").params)]


def assert_one_line(code: int, output: str, *words: str) -> None:
    assert code == 2, output
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, output
    assert "Traceback" not in output
    for word in words:
        assert word in errors[0]


@pytest.mark.slow
def test_a_run_writes_its_workdir_then_says_it_is_finished_and_serves_the_other_modes(environment, pixels, tmp_path):
    run = tmp_path / "run"
    finished_run(environment, pixels, run)
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "provenance.json", "metrics.jsonl", "checkpoints", "samples", "report.html"} <= names
    assert len(list((run / "samples").glob("*.png"))) == 6
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["split"] == "train"] == [5, 10, 15, 20, 25, 30]
    assert [line["step"] for line in lines if line["split"] == "validation"] == [10, 20, 30]
    before = (run / "metrics.jsonl").read_bytes()

    code, output = launch(environment, *TINY, f"--config.data.npz.path={pixels}", f"--workdir={run}")
    assert (code, "this run is finished" in output) == (0, True)
    assert (run / "metrics.jsonl").read_bytes() == before

    (run / "report.html").unlink()  # as when stopped between the figures and it
    code, output = launch(environment, *TINY, f"--config.data.npz.path={pixels}", f"--workdir={run}")
    assert (code, f"report: {run / 'report.html'}" in output) == (0, True)
    assert (run / "report.html").is_file()
    assert (run / "metrics.jsonl").read_bytes() == before

    more = "--config.evaluate.importance_samples=6"  # an evaluation may differ from the run's, and the data have moved
    other = np.random.default_rng(1).integers(0, 256, (80, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "moved.npz", images=other)
    moved = f"--config.data.npz.path={tmp_path / 'moved.npz'}"
    code, output = launch(environment, *TINY, more, moved, f"--workdir={run}", "--mode=evaluate")
    assert code == 0
    assert "importance samples 6" in output
    assert f"the data in {tmp_path / 'moved.npz'} are not those that the run was trained on" in output

    process = start(environment, *TINY, f"--config.data.npz.path={pixels}", f"--workdir={run}", "--mode=evaluate")
    for line in process.stdout:
        if line.startswith("evaluating step"):
            break
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == SAVED_EXIT_CODE, output
    assert [line.split(";")[0] for line in output.splitlines()] == ["interrupted"]

    code, output = launch(
        environment, *TINY, f"--config.data.npz.path={pixels}", f"--workdir={run}", "--config.train.steps=40"
    )
    assert_one_line(code, output, "train.steps (30 there, 40 now)")


@pytest.mark.slow
def test_killed_and_interrupted_runs_end_with_the_bits_of_an_uninterrupted_one(environment, pixels, tmp_path):
    finished_run(environment, pixels, tmp_path / "whole")
    broken = tmp_path / "broken"
    arguments = [*TINY, f"--config.data.npz.path={pixels}", f"--workdir={broken}"]
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = start(environment, *arguments)
        wanted = {signal.SIGKILL: 10, signal.SIGTERM: 20}[number]
        for line in process.stdout:
            if line.startswith("step ") and int(line.split("/")[0].split()[1].rstrip(":")) >= wanted:
                break
        process.send_signal(number)
        output = process.communicate(timeout=120)[0]
    # A run so short may have been done before the signal came.
    assert process.returncode == SAVED_EXIT_CODE if "go on with:" in output else process.returncode == 0
    code, output = launch(environment, *arguments)
    assert code == 0, output
    for ours, whole in zip(latest_parameters(broken), latest_parameters(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(ours, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        *(f"mnist_bernoulli.py:{preset}" for preset in ("iwae", "rws", "semi_amortized", "predictive_coding")),
        "mnist_sgld.py",
    ],
)
def test_ways_to_learn_train_evaluate_and_load(environment, pixels, tmp_path, config):
    import ctc_jax

    workdir = tmp_path / "run"
    arguments = [f"--config=configs/{config}", *TINY[1:], f"--config.data.npz.path={pixels}", f"--workdir={workdir}"]
    code, output = launch(environment, *arguments)
    assert code == 0, output
    tested = [line for line in ctc_jax.load(workdir).history if line["split"] == "test"]
    assert np.isfinite(tested[-1]["elbo_nats"])
    assert tested[-1]["elbo_nats"] <= tested[-1]["importance_bound_nats"] + 1.0
    kept = [int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()]
    assert len(kept) == 6 if "sgld" in config else len(kept) in (2, 3)
    assert ctc_jax.load(workdir, step=min(kept)).step == min(kept)


@pytest.mark.slow
def test_two_runs_on_one_workdir(environment, pixels, tmp_path):
    run = tmp_path / "run"
    long = [*TINY, f"--config.data.npz.path={pixels}", f"--workdir={run}", "--config.train.steps=1000000"]
    first = start(environment, *long)
    for line in first.stdout:
        if line.startswith("step "):
            break
    code, output = launch(environment, *long)
    first.send_signal(signal.SIGTERM)
    rest = first.communicate(timeout=120)[0]
    assert_one_line(code, output, "is in use by process")
    assert first.returncode == SAVED_EXIT_CODE
    assert "go on with:" in rest


def test_a_workdir_with_other_files_and_a_missing_run(environment, tmp_path):
    (tmp_path / "thesis.tex").write_text("do not touch")
    assert_one_line(*launch(environment, *TINY, f"--workdir={tmp_path}"), "no config.json")
    assert_one_line(*launch(environment, *TINY, f"--workdir={tmp_path / 'none'}", "--mode=evaluate"), "no run in")
    assert not (tmp_path / "none").exists()


def test_a_sweep_takes_the_config_and_the_mode_however_they_were_written(environment, tmp_path):
    (tmp_path / "flags").write_text("--config.model.name=mlp_vae\n")
    code = (
        "import json\n"
        "from absl import app\n"
        "from ctc_jax.cli import command\n"
        "from ctc_jax.options import flatten\n"
        "def told(file, sweep, *, config, mode, **options):\n"
        "    print('told', json.dumps({**flatten(config.to_dict()), 'mode': mode}))\n"
        "command.sweeps.execute = told\n"
        "app.run(command.main)\n"
    )
    written = ["-config.seed=7", "--noconfig.report.tensorboard", "--config.train.learning_rate", "0.25"]
    written += [f"--flagfile={tmp_path / 'flags'}", "-mode", "evaluate"]
    command = [sys.executable, "-c", code, "--config=configs/base.py", "--sweep=any.py", *written]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.partition("told ")[2])
    keys = ("seed", "report.tensorboard", "train.learning_rate", "model.name", "mode")
    assert [told[key] for key in keys] == [7, False, 0.25, "mlp_vae", "evaluate"]
