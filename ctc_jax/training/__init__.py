from ctc_jax.training.checkpoint import Checkpoints
from ctc_jax.training.experiment import Experiment, build, build_model, build_step, image_space
from ctc_jax.training.loop import Outcome, train
from ctc_jax.training.workdir import claim, note_start, read_config, read_json, upgrade, write_json

__all__ = [
    "Checkpoints",
    "Experiment",
    "Outcome",
    "build",
    "build_model",
    "build_step",
    "claim",
    "image_space",
    "note_start",
    "read_config",
    "read_json",
    "train",
    "upgrade",
    "write_json",
]
