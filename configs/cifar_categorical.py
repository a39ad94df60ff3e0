"""CIFAR-10, a 256-way softmax a channel: multimodal, and blind to intensity.

python launch.py --config=configs/cifar_categorical.py        # one accelerator
python launch.py --config=configs/cifar_categorical.py:cpu    # two CPU cores, about ten minutes
"""

from configs import cifar


def get_config(preset: str = ""):
    """Categorical pixels."""
    return cifar.experiment({"likelihood.name": "categorical"}, preset)
