"""Fashion-MNIST, one bin-integrated Gaussian a pixel.

python launch.py --config=configs/fashion_gaussian.py        # one accelerator
python launch.py --config=configs/fashion_gaussian.py:cpu    # two CPU cores, about ten minutes
"""

from configs import fashion


def get_config(preset: str = ""):
    """Unimodal Gaussian pixels."""
    return fashion.experiment({"likelihood.name": "gaussian", "likelihood.fixed_scale": 48.0}, preset)
