"""What the experiments with a hierarchy of latents share: one network, whose levels differ by family. Not an
experiment."""

from configs import base

SHARED = {
    "model.name": "ctc_hierarchy",
    "model.levels": 2,
    "model.width": 40,
    "model.blocks": 1,
    "model.latents": 32,
    "model.channels": 8,
    "model.patch": 2,
    "model.features": 8,
    "model.families": "ctc_pool",
    "model.value_loc": 0.5,
    "model.value_scale": 0.3,
    "estimator.name": "reinmax",
    "train.steps": 3_000,
    "train.batch_size": 64,
    "train.learning_rate": 4e-3,
    "train.clip_norm": 200.0,
    "train.warmup_steps": 100,
    "train.log_every": 100,
    "train.evaluate_every": 1_000,
    "train.checkpoint_every": 1_000,
    "train.picture_every": 0,
    "train.cpu_devices": 0,
    "evaluate.importance_samples": 10,
}
PRESETS = {
    "relu": {"model.families": "ctc_relu"},
    "gaussian": {"model.families": "gaussian", "estimator.name": "pathwise"},
    "flat": {"model.families": "none", "estimator.name": "pathwise"},
    "bottom_up": {"model.inference": "bottom_up"},
}


def experiment(changes: base.Changes, preset: str, presets: dict[str, base.Changes] | None = None):
    """The shared settings with one experiment's own, and its own presets where it has any."""
    return base.experiment({**SHARED, **changes}, presets=PRESETS if presets is None else presets, preset=preset)
