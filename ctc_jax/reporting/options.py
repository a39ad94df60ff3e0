"""The section `report` of a config. Tests: tests/reporting/test_options.py."""

from dataclasses import dataclass

from ctc_jax.options import Options, Section, option


@dataclass(frozen=True)
class ReportOptions(Options):
    """What is written beside metrics.jsonl."""

    tensorboard: bool = option(True, "event files in the run's folder tensorboard")
    wandb_project: str = option("", "project of Weights & Biases; '' is off; needs the package wandb")


SECTION = Section("report", shared=ReportOptions)
