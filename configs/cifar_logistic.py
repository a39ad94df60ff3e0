"""CIFAR-10, one bin-integrated logistic a channel: unimodal with heavier tails.

python launch.py --config=configs/cifar_logistic.py        # one accelerator
python launch.py --config=configs/cifar_logistic.py:cpu    # two CPU cores, about ten minutes
"""

from configs import cifar


def get_config(preset: str = ""):
    """Unimodal logistic pixels."""
    return cifar.experiment({"likelihood.name": "logistic", "likelihood.fixed_scale": 24.0}, preset)
