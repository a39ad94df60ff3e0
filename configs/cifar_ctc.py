"""CIFAR-10, categorical-times-continuous: ten logistics share one mask over the channels of a pixel.

python launch.py --config=configs/cifar_ctc.py        # one accelerator
python launch.py --config=configs/cifar_ctc.py:cpu    # two CPU cores, about ten minutes

`--config.likelihood.ctc.autoregressive=True` makes it the mixture of PixelCNN++ (Salimans et al. 2017).
"""

from configs import cifar


def get_config(preset: str = ""):
    """CTC pixels."""
    return cifar.experiment({"likelihood.name": "ctc", "likelihood.ctc.components": 10}, preset)
