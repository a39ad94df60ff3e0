"""Each mistake on a command line is one line with exit code 2. One process tries them all, each in its own child."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from configs import base
from ctc_jax import evaluation
from ctc_jax.cli.flags import ask_for_inference, located, one_line
from ctc_jax.errors import UserError

ROOT = Path(__file__).parents[2]
# The launcher as it is started, in forked children: its imports, some seconds, are made once.
EACH = """
import json, os, sys, traceback
from ctc_jax.cli import command
for words in json.loads(sys.stdin.read()):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, 1), os.dup2(writing, 2), os.close(reading)
        sys.argv, code = ["launch.py", *words], 99
        try:
            command.run()
        except SystemExit as error:
            code = error.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush(), sys.stderr.flush(), os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as output:
        text = output.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text]), flush=True)
"""
FILES = {
    "syntax.py": "def get_config(:\n",
    "imports.py": "import nonexistent_module\n",
    "raises.py": "def get_config(preset=''):\n    raise ValueError('two\\nlines')\n",
    "lacks.py": "x = 1\n",
    "ends.py": "raise SystemExit(0)\n",
    "plain.py": "def get_config(preset=''):\n    return {'seed': 1}\n",
    "nothing.py": "def get_config(preset=''):\n    return None\n",
    "misspelt.py": "from configs import base\ndef get_config(_=''):\n    return base.experiment({'train.stpes': 1})\n",
    "part.py": "import ml_collections\ndef get_config(preset=''):\n    return ml_collections.ConfigDict({'seed': 1})\n",
    "zero.py": "\0\0",
}
# What is typed beside a config that is right, or in its place where it begins with --config=; what the line must say.
MISTAKES = [
    ("--config.train.stpes=5", "config.train.stpes is no config key (did you mean train.steps?)"),
    ("--config.steps=5", "config.steps is no config key (did you mean train.steps?)"),
    ("--config.x.y.z=1", "config.x.y.z is no config key"),
    ("--config.train.steps.x=1", "config.train.steps.x is no config key"),
    ("--config.train=5", "config.train is a section; set one of its keys, such as config.train."),
    ("--config.likelihood.ctc=5", "config.likelihood.ctc is a section"),
    ("--config.train.steps=many", "config.train.steps cannot be 'many'; allowed: a whole number"),
    ("--config.train.steps=", "config.train.steps cannot be ''; allowed: a whole number"),
    ("--config.train.steps", "config.train.steps"),
    ("--config.train.steps many", "config.train.steps cannot be 'many'"),
    ("-config.train.steps=many", "config.train.steps cannot be 'many'"),
    ("--config.train.steps=3 --config.train.steps=many", "config.train.steps cannot be 'many'"),
    ("--config.train.steps=many --config.train.steps=3", "config.train.steps cannot be 'many'"),
    ("--config.train.batch_size=8 --config.train.steps=8.5", "config.train.steps cannot be '8.5'"),
    (
        "--config.train.beta2=0.5 --config.train.beta=0.5",
        "config.train.beta is no config key (did you mean train.",
    ),
    ("--config.train.beta2=a", "config.train.beta2 cannot be 'a'; allowed: a number"),
    (
        "--config.model.mask_vae.centered=maybe",
        "config.model.mask_vae.centered cannot be 'maybe'; allowed: true or false",
    ),
    (
        "--config.model.mask_vae.categories=3",
        "config.model.mask_vae.categories is 3; allowed: its default, since model.name is 'mlp_vae' and not mask_vae",
    ),
    ("--noconfig.train.steps", "--noconfig.train.steps is for keys that are true or false"),
    ("--config.likelihood.name=gausian", "config.likelihood.name is 'gausian'; allowed: "),
    ("--config.model.name=vae", "config.model.name is 'vae'; allowed: "),
    ("--config.data.name=cifar", "config.data.name is 'cifar'; allowed: "),
    ("--config.train.batch_size=7", "config.train.batch_size is 7; allowed: a multiple of the number of devices, 2"),
    ("--config.train.learning_rate=-1.0", "config.train.learning_rate is -1.0; allowed: "),
    ("--config.estimator.name=rloo", "config.estimator.name is 'rloo'; allowed: "),
    ("--mode=tarin", "mode cannot be 'tarin'"),
    ("--mode", "--mode"),
    ("--sweep_parallel=0", "sweep_parallel cannot be '0'"),
    ("--wrkdir=x", "Did you mean: workdir"),
    ("--workdir=~nobody-of-this-name/run", "workdir ~nobody-of-this-name/run begins with the home of a user"),
    ("train", "unexpected argument 'train'; options start with --"),
    ("--flagfile=/nowhere", "/nowhere"),
    ("--config=configs/none.py", "there is no file configs/none.py"),
    ("--config=configs", "there is no file configs"),
    ("--config=", "there is no file"),
    ("--config=configs/mnist_bernoulli.py:gpu", "preset 'gpu' does not exist"),
    ("--config=FILES/syntax.py", "syntax.py is no config: SyntaxError"),
    ("--config=FILES/imports.py", "imports.py is no config: ModuleNotFoundError: No module named 'nonexistent_module'"),
    ("--config=FILES/raises.py", "raises.py is no config: ValueError: two lines"),
    ("--config=FILES/lacks.py", "lacks.py is no config: AttributeError"),
    ("--config=FILES/ends.py", "ends.py is no config: SystemExit"),
    ("--config=FILES/plain.py", "plain.py is no config: its get_config gives a dict, not a ConfigDict"),
    ("--config=FILES/nothing.py", "is missing"),
    ("--config=FILES/misspelt.py", "config.train.stpes is 1; allowed: only keys of configs/base.py"),
    ("--config=FILES/part.py", "part.py is no config: it has no key data."),
    ("--config=FILES/zero.py", "zero.py is no config: SyntaxError"),
]
NO_CONFIG = ["", "--mode=train", "--config.train.steps=3", "--workdir=x"]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, tuple[int, str]]:
    """Exit code and output of every command line, and of `--help`."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    np.savez(folder / "pixels.npz", images=np.zeros((80, 8, 8, 1), np.uint8) + np.arange(8, dtype=np.uint8)[:, None])
    right = ["--config.data.name=npz", f"--config.data.npz.path={folder}/pixels.npz", f"--workdir={folder}/run"]
    lines = {line: line.replace("FILES", str(folder)).split() for line, _ in MISTAKES}
    for line, words in lines.items():
        config = [] if line.startswith("--config=") else ["--config=configs/mnist_bernoulli.py", *right]
        lines[line] = [*config, *words]
    lines.update({line: line.split() for line in [*NO_CONFIG, "--help", "-h", "--helpfull"]})
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EACH],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "2", "CTC_JAX_DATA": str(folder / "cache")},
        input=json.dumps([*lines.values()]),
        capture_output=True,
        text=True,
        timeout=240,
    )
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(answers) == len(lines), process.stderr
    assert not (folder / "run").exists()
    return dict(zip(lines, answers, strict=True))


def assert_one_line(answer, words):
    code, output = answer
    assert code == 2, output
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, output
    assert "Traceback" not in output
    assert words in errors[0]


def test_each_mistake_is_told_in_one_line_before_anything_is_written(told):
    for line, words in MISTAKES:
        assert_one_line(told[line], words)


def test_without_a_config_it_is_the_config_that_is_missing_whatever_else_is_typed(told):
    for line in NO_CONFIG:
        assert_one_line(told[line], "--config is missing")


def test_files_of_the_project_are_found_from_anywhere_unless_the_folder_at_hand_has_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "cifar_ctc.py").touch()
    words = ["ctc-jax", "--config=configs/shapes_ctc.py:long", "--sweep", "configs/sweeps/likelihoods.py"]
    found = [
        "ctc-jax",
        f"--config={ROOT}/configs/shapes_ctc.py:long",
        "--sweep",
        f"{ROOT}/configs/sweeps/likelihoods.py",
    ]
    assert located(words, ROOT) == found
    others = [
        "--config=configs/cifar_ctc.py:cpu",
        "--config=configs/none.py",
        "--config=x.py",
        "--mode",
        "configs/base.py",
    ]
    assert located(others, ROOT) == others


@pytest.mark.parametrize("word", ["--help", "-h", "--helpfull"])
def test_help_is_no_error_and_names_every_flag_in_a_screenful(told, word):
    code, output = told[word]
    assert code == 0
    assert len(output.splitlines()) <= 25
    for name in ("config", "workdir", "mode", "sweep", "executor", "sweep_parallel"):
        assert f"--{name}:" in output


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/run/metrics.jsonl"),
            "No space left on device: /run/metrics",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/run/x"), "Disk quota exceeded: /run/x"),
        (PermissionError(errno.EACCES, "Permission denied", "/run/x"), "Permission denied: /run/x"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error: a file of the run"),
        (UserError("two\nlines"), "two lines"),
    ],
)
def test_what_the_machine_refuses_is_one_line(capsys, error, words):
    def main(argv):
        raise error

    with pytest.raises(SystemExit) as ended:
        one_line(main)([])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {words}")


def test_a_bug_keeps_its_traceback_and_an_interrupt_its_code():
    def bug(argv):
        raise ZeroDivisionError

    def interrupted(argv):
        raise KeyboardInterrupt

    with pytest.raises(ZeroDivisionError):
        one_line(bug)([])
    assert one_line(interrupted)([]) == 75


def test_output_that_nobody_reads_any_more_is_one_line():
    program = (
        "import sys; from ctc_jax.cli.flags import one_line; one_line(lambda _: [print(1) for _ in range(10**6)])([])"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == "error: whoever read the output has closed it\n"
    assert process.returncode == 2


@pytest.mark.parametrize(
    ("changed", "images", "expected"),
    [
        (["inference.name"], 0, evaluation.INFERENCE_IMAGES),
        (["inference.hmc.step_size"], 0, evaluation.INFERENCE_IMAGES),
        (["inference.name"], 5, 5),
        (["inference.name", "evaluate.inference_images"], 0, 0),
        (["seed"], 0, 0),
    ],
)
def test_a_method_that_is_named_is_tried(changed, images, expected):
    config = base.get_config()
    config.evaluate.inference_images = images
    ask_for_inference(config, changed)
    assert config.evaluate.inference_images == expected
