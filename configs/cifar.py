"""What the CIFAR-10 experiments share, so that only the likelihood differs between two of them. Not an experiment."""

from configs import base

SHARED = {
    "data.name": "cifar10",
    "model.name": "ctc_hierarchy",
    "model.ctc_hierarchy.families": "gaussian",
    "model.ctc_hierarchy.levels": 3,
    "model.ctc_hierarchy.channels": 16,
    "model.ctc_hierarchy.patch": 2,
    "model.latents": 128,
    "model.width": 192,
    "model.blocks": 3,
    "model.features": 64,
    "train.steps": 200_000,
    "train.batch_size": 128,
    "train.learning_rate": 5e-4,
    "train.warmup_steps": 1_000,
    "train.clip_norm": 1_000.0,
    "train.ema_decay": 0.999,
    "train.cpu_devices": 0,
}

# One code above convolutions, whose samples are blurrier and whose bounds are worse.
FLAT = {"model.name": "conv_vae", "model.conv_vae.levels": 3, "model.latents": 256}

SMALL = {
    "model.latents": 128,
    "model.width": 64,
    "model.blocks": 1,
    "model.features": 32,
    "train.steps": 2_000,
    "train.batch_size": 64,
    "train.learning_rate": 1e-3,
    "train.warmup_steps": 100,
    "train.ema_decay": 0.99,
    "train.evaluate_every": 500,
    "train.checkpoint_every": 500,
    "train.picture_every": 0,
    "evaluate.importance_samples": 5,
}
PRESETS = {
    # Two CPU cores: ten minutes of training, two of evaluation. Small batches, because so few images are seen.
    "cpu": {
        **SMALL,
        "model.ctc_hierarchy.channels": 8,
        "model.latents": 64,
        "model.width": 40,
        "train.steps": 8_000,
        "train.batch_size": 16,
        "train.learning_rate": 3e-3,
        "train.beta2": 0.99,
        "train.skip_factor": 8.0,
        "train.log_every": 200,
        "train.evaluate_every": 2_000,
        "train.checkpoint_every": 2_000,
    },
    "flat": FLAT,
    "flat_cpu": {**FLAT, **SMALL},
}


def experiment(changes: base.Changes, preset: str, presets: dict[str, base.Changes] | None = None):
    """The shared settings with one experiment's own, and its own presets where it has any."""
    return base.experiment({**SHARED, **changes}, presets=PRESETS if presets is None else presets, preset=preset)
