"""CIFAR-10, categorical-times-continuous: ten logistics share one mask over the channels of a pixel.

python launch.py --config=configs/cifar_ctc.py             # a hierarchy of Gaussian levels, one accelerator
python launch.py --config=configs/cifar_ctc.py:cpu         # a small one, two CPU cores, about ten minutes
python launch.py --config=configs/cifar_ctc.py:flat        # one code above a convolutional network
python launch.py --config=configs/cifar_ctc.py:flat_cpu    # a small one of these

`--config.likelihood.ctc.autoregressive=True` makes it the mixture of PixelCNN++ (Salimans et al. 2017), which learns
more slowly.
"""

from configs import cifar


def get_config(preset: str = ""):
    """CTC pixels."""
    return cifar.experiment({"likelihood.name": "ctc", "likelihood.ctc.components": 10}, preset)
