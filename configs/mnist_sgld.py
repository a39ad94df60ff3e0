"""The VAE of configs/mnist_bernoulli.py with parameters drawn by preconditioned Langevin dynamics.

python launch.py --config=configs/mnist_sgld.py
"""

from configs import mnist, mnist_bernoulli

DRAWS = {
    "train.optimizer": "psgld",
    "train.schedule": "constant",
    "train.epsilon": 1e-4,
    "train.weight_decay": 1 / 50_000,  # over as many images a prior N(0, 1)
    "train.ema_decay": 0.0,
    "train.keep_checkpoints": 20,
}


def get_config(preset: str = ""):
    """Bernoulli pixels."""
    return mnist.experiment({**mnist_bernoulli.DYNAMIC, **DRAWS}, preset)
