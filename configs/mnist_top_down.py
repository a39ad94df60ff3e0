"""Binarized MNIST, a deep top-down VAE: residual blocks with a latent each at 1x1, 7x7 and 14x14.

python launch.py --config=configs/mnist_top_down.py            # Gaussian latents, two CPU cores
python launch.py --config=configs/mnist_top_down.py:pool       # stochastic max pooling at the highest resolution
python launch.py --config=configs/mnist_top_down.py:relu       # gates in all blocks
python launch.py --config=configs/mnist_top_down.py:ladder     # a latent a resolution, q a product (ladder VAE)
"""

from configs import base

SHARED = {
    "data.name": "mnist",
    "data.binarization": "dynamic",
    "likelihood.name": "bernoulli",
    "model.name": "top_down",
    "model.width": 48,
    "model.blocks": 1,
    "model.features": 8,
    "model.top_down.decoder": "1x2,7x3,14x2",
    "model.top_down.channels": 8,
    "train.steps": 3_000,
    "train.batch_size": 64,
    "train.learning_rate": 2e-3,
    "train.warmup_steps": 100,
    "train.clip_norm": 200.0,
    "train.evaluate_every": 1_000,
    "train.cpu_devices": 0,
    "evaluate.importance_samples": 10,
}
MASKED = {"estimator.name": "reinmax", "model.top_down.value_loc": 0.5, "model.top_down.value_scale": 0.3}
PRESETS = {
    "pool": {**MASKED, "model.top_down.families": "gaussian,gaussian,ctc_pool"},
    "relu": {**MASKED, "model.top_down.families": "ctc_relu"},
    "ladder": {"model.top_down.decoder": "1x1,7x1,14x1", "model.top_down.merge": "product"},
}


def get_config(preset: str = ""):
    """Gaussian latents, or others at the same places."""
    return base.experiment(SHARED, presets=PRESETS, preset=preset)
