"""Trains, evaluates, samples or reports one config, or sweeps it: flags in, one call. See README.md."""

import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from configs import base
from ctc_jax import command, command_line, sweeps
from ctc_jax.reporting.page import flatten

CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment file, with a preset after a colon if it has any.")
WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run, or of all of a sweep's; default runs/NAME.")
MODE = flags.DEFINE_enum("mode", "train", sorted(command.MODES), "What to do with the run; a run that exists resumes.")
SWEEP = flags.DEFINE_string("sweep", None, "Sweep file: run the config once for each of its overrides.")
EXECUTOR = flags.DEFINE_enum("executor", "local", ["local", "slurm"], "Where a sweep's runs go.")
PARALLEL = flags.DEFINE_integer("sweep_parallel", 1, "Local runs of a sweep at once.", lower_bound=1)


def main(argv: list[str]) -> int:
    """One call; its exit code."""
    del argv
    file = config_flags.get_config_filename(flags.FLAGS["config"])
    path, _, preset = file.partition(":")
    names = [f"runs/{Path(path).stem}", preset, Path(SWEEP.value or "").stem]
    workdir = WORKDIR.value or "-".join(name for name in names if name)
    if SWEEP.value:
        return sweeps.execute(
            file,
            SWEEP.value,
            executor=EXECUTOR.value,
            root=Path(workdir),
            parallel=PARALLEL.value,
            base_config=CONFIG.value,
            extra_arguments=[word for word in sys.argv if word.startswith(("--config.", "--mode"))],
        )
    return command.execute(CONFIG.value, workdir=workdir, mode=MODE.value, command=[sys.executable, *sys.argv])


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(command_line.one_line(main), flags_parser=command_line.parser(lambda: flatten(base.get_config().to_dict())))
