"""A hierarchy of stochastic pooling on CIFAR-10: 32 -> 16 -> 8 -> 4, for one accelerator.

python launch.py --config=configs/cifar_hierarchy.py              # stochastic max pooling at all three levels
python launch.py --config=configs/cifar_hierarchy.py:relu         # gates in place of choices
python launch.py --config=configs/cifar_hierarchy.py:gaussian     # the same units, none of them masked
python launch.py --config=configs/cifar_hierarchy.py:gaussian_iaf # those, all drawn by inverse autoregressive flows
python launch.py --config=configs/cifar_hierarchy.py:flat         # the same network, no latent below the top
python launch.py --config=configs/cifar_hierarchy.py:bottom_up    # the recognition model goes up through its draws
python launch.py --config=configs/cifar_hierarchy.py:bottom_up_with_image # and sees the image at every level
"""

from configs import hierarchy

CIFAR = {
    "data.name": "cifar10",
    "likelihood.name": "ctc",
    "model.ctc_hierarchy.levels": 3,
    "model.width": 128,
    "model.blocks": 2,
    "model.latents": 128,
    "model.ctc_hierarchy.channels": 16,
    "model.features": 64,
    "train.steps": 200_000,
    "train.batch_size": 128,
    "train.learning_rate": 5e-4,
    "train.clip_norm": 1_000.0,
    "train.ema_decay": 0.999,
    "train.evaluate_every": 5_000,
    "train.checkpoint_every": 5_000,
}


def get_config(preset: str = ""):
    """Stochastic pooling, or another family at the same levels."""
    return hierarchy.experiment(CIFAR, preset)
