"""What the MNIST experiments share. Not an experiment."""

from configs import base

SHARED = {
    "model.name": "mlp_vae",
    "model.latents": 50,
    "model.width": 200,
    "model.blocks": 2,
    "model.activation": "tanh",
    "train.steps": 60_000,
    "train.batch_size": 100,
    "train.learning_rate": 1e-3,
    "train.warmup_steps": 0,
    "train.log_every": 500,
    "train.evaluate_every": 2_500,
    "train.checkpoint_every": 2_500,
    "train.ema_decay": 0.999,
}


def experiment(changes: base.Changes, preset: str = "", presets: dict[str, base.Changes] | None = None):
    """The shared settings with one experiment's own."""
    return base.experiment({**SHARED, **changes}, presets=presets, preset=preset)
