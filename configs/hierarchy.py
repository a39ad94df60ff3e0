"""What the experiments with a hierarchy of latents share: one network, whose levels differ by family. Not an
experiment."""

from configs import base

SHARED = {
    "model.name": "ctc_hierarchy",
    "model.ctc_hierarchy.levels": 2,
    "model.width": 40,
    "model.blocks": 1,
    "model.latents": 32,
    "model.ctc_hierarchy.channels": 8,
    "model.ctc_hierarchy.patch": 2,
    "model.features": 8,
    "model.ctc_hierarchy.families": "ctc_pool",
    "model.ctc_hierarchy.value_loc": 0.5,
    "model.ctc_hierarchy.value_scale": 0.3,
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
    "relu": {"model.ctc_hierarchy.families": "ctc_relu"},
    "gaussian": {"model.ctc_hierarchy.families": "gaussian", "estimator.name": "pathwise"},
    "gaussian_iaf": {
        "model.ctc_hierarchy.families": "gaussian",
        "estimator.name": "pathwise",
        "posterior.name": "iaf",
        "posterior.iaf.steps": 2,
        "posterior.iaf.width": 64,
        "posterior.iaf.context": 16,
    },
    "flat": {"model.ctc_hierarchy.families": "none", "estimator.name": "pathwise"},
    "bottom_up": {"model.ctc_hierarchy.inference": "bottom_up"},
    "bottom_up_with_image": {"model.ctc_hierarchy.inference": "bottom_up_with_image"},
}


def experiment(changes: base.Changes, preset: str, presets: dict[str, base.Changes] | None = None):
    """The shared settings with one experiment's own, and its own presets where it has any."""
    return base.experiment({**SHARED, **changes}, presets=PRESETS if presets is None else presets, preset=preset)
