"""The command `ctc-jax`: flags in, one call. Tests: tests/test_launch.py, tests/cli/test_flags.py."""

import sys
from pathlib import Path
from typing import Any

from absl import app, flags
from ml_collections import config_flags

from configs import base
from ctc_jax import runs, sweeps
from ctc_jax.cli import flags as command_line
from ctc_jax.cli import hosts, modes
from ctc_jax.cli.listing import listing
from ctc_jax.errors import UserError
from ctc_jax.options import flatten

USAGE = """Trains, evaluates, samples or reports one experiment, or sweeps it.

  {program} --config=configs/shapes_ctc.py                        train, or go on; then evaluate and report
  {program} --config=configs/cifar_ctc.py:cpu                     a preset of an experiment
  {program} --config=configs/cifar_ctc.py --workdir=runs/lower --config.train.learning_rate=2e-4
  {program} --config=configs/cifar_ctc.py --mode=evaluate         the numbers of a trained run
  {program} --config=configs/cifar_ctc.py --mode=describe         parameters, FLOPs, memory; trains nothing
  {program} --config=configs/cifar_ctc.py --sweep=configs/sweeps/likelihoods.py
  {program} --config=configs/shapes_ctc.py --search=configs/searches/rates.py
  {program} --list                                                experiments, presets, and the parts by name

--config.KEY=VALUE changes one key; python -m configs.base lists all keys with their meaning. Files configs/... that are
not here are taken from {home}.
"""
HOME = Path(base.__file__).parents[1]  # of configs/, in a clone or where the package is installed

CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment file; FILE:PRESET for one of its presets.")
WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run or of a sweep's runs; default runs/NAME[-PRESET].")
MODE = flags.DEFINE_enum(
    "mode", "train", sorted(modes.MODES), "What to do with the run; a run that exists resumes; describe makes none."
)
SWEEP = flags.DEFINE_string("sweep", None, "Sweep file: run the config once for each of its overrides.")
SEARCH = flags.DEFINE_string("search", None, "Search file: runs chosen by Optuna from those before (docs/running.md).")
SEARCH_RUNS = flags.DEFINE_integer("search_runs", 20, "Runs of a search, finished or pruned.", lower_bound=1)
EXECUTOR = flags.DEFINE_enum(
    "executor", "local", ["local", "slurm", "kubernetes"], "Where a sweep's runs go; kubernetes with --dry_run alone."
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print a sweep's runs, workdirs and commands, or the manifest; run none.")
PARALLEL = flags.DEFINE_integer("sweep_parallel", 1, "Local runs of a sweep at once.", lower_bound=1)
flags.DEFINE_bool("list", False, "Print experiments, presets, sweeps and the parts by name; nothing else is done.")


def main(argv: list[str]) -> int:
    """One call; its exit code."""
    del argv
    file = config_flags.get_config_filename(flags.FLAGS["config"])
    path, _, preset = file.partition(":")
    names = [f"runs/{Path(path).stem}", preset, Path(SWEEP.value or SEARCH.value or "").stem]
    workdir = runs.expand(WORKDIR.value or "-".join(name for name in names if name))
    if SWEEP.value and SEARCH.value:
        raise UserError("--sweep and --search are given; allowed: one of them")
    if SWEEP.value:
        hosts.check_none()
        asked = {"executor": EXECUTOR.value, "root": workdir, "config": CONFIG.value, "mode": MODE.value}
        if DRY_RUN.value:
            print(sweeps.dry_run(file, SWEEP.value, **asked))
            return 0
        return sweeps.execute(file, SWEEP.value, parallel=PARALLEL.value, **asked)
    if SEARCH.value:
        hosts.check_none()
        shared = {"root": workdir, "config": CONFIG.value, "parallel": PARALLEL.value}
        return sweeps.search(file, SEARCH.value, runs=SEARCH_RUNS.value, **shared)
    if DRY_RUN.value:
        raise UserError("--dry_run is for --sweep; --mode=describe says what one run takes")
    command = [sys.executable, *sys.argv]
    return hosts.together(
        lambda: modes.execute(CONFIG.value, defaults=defaults(), workdir=workdir, mode=MODE.value, command=command)
    )


def defaults() -> dict[str, Any]:
    """The default of every dotted key."""
    return flatten(base.get_config().to_dict())


def run() -> None:
    """Reads the command line and ends the process with the exit code."""
    program = "python launch.py" if Path(sys.argv[0]).name == "launch.py" else "ctc-jax"
    parser = command_line.parser(
        USAGE.format(program=program, home=HOME),
        defaults,
        base.SECTIONS,
        home=HOME,
        listed=lambda: listing(HOME / "configs", base.SECTIONS),
    )
    app.run(command_line.one_line(main), flags_parser=parser)
