"""Shapes with a CTC likelihood whose mask chooses the whole image: the shifted, contrast-changed dog made exact.

python launch.py --config=configs/shapes_ctc.py    # five minutes on two CPU cores; 170.6 nats, entropy 167.9
"""

from configs import shapes

CTC = {
    "likelihood.name": "ctc",
    "likelihood.components": 224,
    "likelihood.family": "gaussian",
    "likelihood.mask_group": "image",
    "likelihood.scale": "shared",
    "likelihood.fixed_scale": 8.0,
    # Slow enough for 224 components to find the 64 images of a class, and until the learning rate has fallen: at a high
    # one, components lose images again that they had found.
    "objective.mask_annealing_steps": 3_500,
    "objective.mask_annealing_start": 1e-4,
    "objective.mask_annealing_end": 0.1,
}


def get_config(preset: str = ""):
    """One mask an image."""
    return shapes.experiment(CTC, preset)
