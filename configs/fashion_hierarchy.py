"""A hierarchy of stochastic pooling on Fashion-MNIST, pixels as in fashion_ctc. Half an hour on two cores.

python launch.py --config=configs/fashion_hierarchy.py              # stochastic max pooling at both levels
python launch.py --config=configs/fashion_hierarchy.py:relu         # gates in place of choices
python launch.py --config=configs/fashion_hierarchy.py:gaussian     # the same units, none of them masked
python launch.py --config=configs/fashion_hierarchy.py:gaussian_iaf # those, all drawn by inverse autoregressive flows
python launch.py --config=configs/fashion_hierarchy.py:flat         # the same network, no latent below the top
python launch.py --config=configs/fashion_hierarchy.py:bottom_up    # the recognition model goes up through its draws
python launch.py --config=configs/fashion_hierarchy.py:bottom_up_with_image # and sees the image at every level
"""

from configs import hierarchy

FASHION = {
    "data.name": "fashion_mnist",
    "likelihood.name": "ctc",
    "likelihood.ctc.components": 5,
    "likelihood.ctc.off": True,
    "train.clip_norm": 1_000.0,
}


def get_config(preset: str = ""):
    """Stochastic pooling, or another family at the same levels."""
    return hierarchy.experiment(FASHION, preset)
