"""CIFAR-10, one bin-integrated Gaussian a channel: the unimodal likelihood whose answer is a mean.

python launch.py --config=configs/cifar_gaussian.py             # a hierarchy of Gaussian levels, one accelerator
python launch.py --config=configs/cifar_gaussian.py:cpu         # a small one, two CPU cores, about ten minutes
python launch.py --config=configs/cifar_gaussian.py:flat        # one code above a convolutional network
python launch.py --config=configs/cifar_gaussian.py:flat_cpu    # a small one of these
"""

from configs import cifar


def get_config(preset: str = ""):
    """Unimodal Gaussian pixels."""
    return cifar.experiment({"likelihood.name": "gaussian", "likelihood.fixed_scale": 48.0}, preset)
