from ctc_jax.training.checkpoint import Checkpoints
from ctc_jax.training.experiment import Experiment, build, build_model, build_step, image_space
from ctc_jax.training.loop import Outcome, train

__all__ = [
    "Checkpoints",
    "Experiment",
    "Outcome",
    "build",
    "build_model",
    "build_step",
    "image_space",
    "train",
]
