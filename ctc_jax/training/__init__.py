from ctc_jax.training.checkpoint import Checkpoints
from ctc_jax.training.description import Description, describe, heading
from ctc_jax.training.experiment import Experiment, build, build_model, build_step, image_space
from ctc_jax.training.loop import Outcome, compile_first_call, train
from ctc_jax.training.options import SECTION, TrainOptions

__all__ = [
    "SECTION",
    "Checkpoints",
    "Description",
    "Experiment",
    "Outcome",
    "TrainOptions",
    "build",
    "build_model",
    "build_step",
    "compile_first_call",
    "describe",
    "heading",
    "image_space",
    "train",
]
