"""DRAW on CIFAR-10: an image painted in steps (Gregor et al. 2015, arXiv:1502.04623; 2016, arXiv:1604.08772).

python launch.py --config=configs/cifar_draw.py             # 64 glimpses through windows, Gaussian pixels; for a GPU
python launch.py --config=configs/cifar_draw.py:ctc         # the same network with CTC pixels
python launch.py --config=configs/cifar_draw.py:conv        # convolutional, 16 steps, Gaussian pixels; for a GPU
python launch.py --config=configs/cifar_draw.py:conv_ctc    # the same network with CTC pixels
python launch.py --config=configs/cifar_draw.py:cpu         # convolutional, 4 steps, CTC pixels, for two CPU cores

The first has the sizes of the paper's table 3; its schedule is not published.
"""

from configs import base, cifar

PUBLISHED = {
    "likelihood.name": "gaussian",
    "model.name": "draw",
    "model.draw.glimpses": 64,
    "model.draw.read_size": 5,
    "model.draw.write_size": 5,
    "model.width": 400,
    "model.latents": 200,
    "model.features": 16,
}
CTC = {"likelihood.name": "ctc"}
CONV = {"model.name": "conv_draw", "model.conv_draw.glimpses": 16, "model.width": 160, "model.features": 32}
CPU = {**cifar.SMALL, **CONV, **CTC, "model.conv_draw.glimpses": 4, "model.width": 48, "model.features": 16}
PRESETS = {"ctc": CTC, "conv": CONV, "conv_ctc": {**CONV, **CTC}, "cpu": CPU}


def get_config(preset: str = ""):
    """Gaussian or CTC pixels."""
    return base.experiment({**cifar.SHARED, **PUBLISHED}, presets=PRESETS, preset=preset)
