"""The section `train` of a config. Tests: tests/training/test_options.py."""

from dataclasses import dataclass

from ctc_jax.options import Section, option
from ctc_jax.training.optimizer import OptimizerOptions


@dataclass(frozen=True)
class TrainOptions(OptimizerOptions):
    """Optimization, and what happens on the way."""

    start_from: str = option("", "workdir of a run whose best parameters are the start, where names and shapes agree")
    batch_size: int = option(128, "images per step over all devices; a multiple of their number", at_least=1)
    ema_decay: float = option(0.0, "averaged parameters are evaluated when above 0", at_least=0, below=1)
    compute_dtype: str = option(
        "auto", "auto is bfloat16 on accelerators and float32 on CPU", choices=("auto", "float32", "bfloat16")
    )
    float32_convolutions: bool = option(False, "convolutions are float32 where the rest is bfloat16")
    steps_per_call: int = option(0, "steps in one dispatch; 0 is 1 on CPU and 50 on accelerators", at_least=0)
    cpu_devices: int = option(
        1, "devices that a CPU is split into; 0 is one per core where the batch allows it", at_least=0
    )
    shard_above: int = option(
        0, "arrays of the state of this many numbers or more are divided among the devices; 0 divides none", at_least=0
    )
    log_every: int = option(100, "steps", at_least=1)
    evaluate_every: int = option(5_000, "steps; the validation bound that picks the best checkpoint", at_least=1)
    checkpoint_every: int = option(1_000, "steps", at_least=1)
    keep_checkpoints: int = option(2, "of the latest, beside the best; many where they are draws (sgld)", at_least=2)
    picture_every: int = option(10_000, "steps; 0 draws pictures at the end only", at_least=0)


SECTION = Section("train", shared=TrainOptions)
