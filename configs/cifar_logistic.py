"""CIFAR-10, one bin-integrated logistic a channel: unimodal with heavier tails.

python launch.py --config=configs/cifar_logistic.py             # a hierarchy of Gaussian levels, one accelerator
python launch.py --config=configs/cifar_logistic.py:cpu         # a small one, two CPU cores, about ten minutes
python launch.py --config=configs/cifar_logistic.py:flat        # one code above a convolutional network
python launch.py --config=configs/cifar_logistic.py:flat_cpu    # a small one of these
"""

from configs import cifar


def get_config(preset: str = ""):
    """Unimodal logistic pixels."""
    return cifar.experiment({"likelihood.name": "logistic", "likelihood.fixed_scale": 24.0}, preset)
