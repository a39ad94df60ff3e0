"""What the Fashion-MNIST experiments share, so that only the likelihood differs. Not an experiment."""

from configs import base

SHARED = {
    "data.name": "fashion_mnist",
    "model.name": "conv_vae",
    "model.latents": 64,
    "model.width": 128,
    "model.conv_vae.levels": 2,
    "model.blocks": 2,
    "model.features": 32,
    "train.steps": 100_000,
    "train.batch_size": 128,
    "train.learning_rate": 1e-3,
    "train.clip_norm": 1_000.0,
    "train.ema_decay": 0.999,
    "train.cpu_devices": 0,
}

PRESETS = {
    # Two CPU cores, about ten minutes with the evaluation.
    "cpu": {
        "model.width": 48,
        "model.blocks": 1,
        "train.steps": 3_000,
        "train.batch_size": 64,
        "train.warmup_steps": 100,
        "train.ema_decay": 0.99,
        "train.evaluate_every": 1_000,
        "train.checkpoint_every": 1_000,
        "train.picture_every": 0,
        "evaluate.importance_samples": 5,
    }
}


def experiment(changes: base.Changes, preset: str):
    """The shared settings with one experiment's own."""
    return base.experiment({**SHARED, **changes}, presets=PRESETS, preset=preset)
