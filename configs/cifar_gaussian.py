"""CIFAR-10, one bin-integrated Gaussian a channel: the unimodal likelihood whose answer is a mean.

python launch.py --config=configs/cifar_gaussian.py        # one accelerator
python launch.py --config=configs/cifar_gaussian.py:cpu    # two CPU cores, about ten minutes
"""

from configs import cifar


def get_config(preset: str = ""):
    """Unimodal Gaussian pixels."""
    return cifar.experiment({"likelihood.name": "gaussian", "likelihood.fixed_scale": 48.0}, preset)
