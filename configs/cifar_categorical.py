"""CIFAR-10, a 256-way softmax a channel: multimodal, and blind to intensity.

python launch.py --config=configs/cifar_categorical.py             # a hierarchy of Gaussian levels, one accelerator
python launch.py --config=configs/cifar_categorical.py:cpu         # a small one, two CPU cores, about ten minutes
python launch.py --config=configs/cifar_categorical.py:flat        # one code above a convolutional network
python launch.py --config=configs/cifar_categorical.py:flat_cpu    # a small one of these
"""

from configs import cifar


def get_config(preset: str = ""):
    """Categorical pixels."""
    return cifar.experiment({"likelihood.name": "categorical"}, preset)
