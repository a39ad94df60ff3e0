"""What the experiments on shapes share: p(x | class) with no latent, so that only the likelihood differs.

Not an experiment. The data are made here and their exact entropy is known (see ctc_jax/data/shapes.py).
"""

from configs import base

SHARED = {
    "data.name": "shapes",
    "model.name": "class_conditional",
    "model.width": 128,
    "model.blocks": 0,
    "model.features": 64,
    "train.steps": 5_000,
    "train.batch_size": 32,
    "train.learning_rate": 2e-3,
    "train.beta2": 0.99,
    "train.warmup_steps": 100,
    "train.ema_decay": 0.998,
    "train.log_every": 250,
    "train.evaluate_every": 1_000,
    "train.checkpoint_every": 1_000,
    "train.picture_every": 0,
    "evaluate.importance_samples": 1,
    "evaluate.batch_size": 64,
    "evaluate.latents": 32,
}

PRESETS = {
    # For the exact entropy: 2,000 images of each of the 512 kinds, where the default has seen 312.
    "long": {"train.steps": 16_000, "train.batch_size": 64, "train.ema_decay": 0.9995},
}


def experiment(changes: base.Changes, preset: str = ""):
    """The shared settings with one experiment's own."""
    return base.experiment({**SHARED, **changes}, presets=PRESETS, preset=preset)
