"""What the CIFAR-10 experiments share, so that only the likelihood differs between two of them. Not an experiment."""

from configs import base

SHARED = {
    "data.name": "cifar10",
    "model.name": "conv_vae",
    "model.latents": 256,
    "model.width": 192,
    "model.conv_vae.levels": 3,
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

PRESETS = {
    # Two CPU cores, about ten minutes with the evaluation.
    "cpu": {
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
}


def experiment(changes: base.Changes, preset: str, presets: dict[str, base.Changes] | None = None):
    """The shared settings with one experiment's own, and its own presets where it has any."""
    return base.experiment({**SHARED, **changes}, presets=PRESETS if presets is None else presets, preset=preset)
