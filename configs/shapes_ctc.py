"""Shapes with a CTC likelihood whose mask chooses the whole image: the shifted, contrast-changed dog made exact.

python launch.py --config=configs/shapes_ctc.py         # two minutes on two CPU cores; 0.4 nats above the entropy
python launch.py --config=configs/shapes_ctc.py:long    # twenty minutes
"""

from configs import shapes

CTC = {
    "likelihood.name": "ctc",
    "likelihood.ctc.components": 128,
    "likelihood.ctc.family": "gaussian",
    "likelihood.ctc.mask_group": "image",
    "likelihood.scale": "shared",
    "likelihood.fixed_scale": 8.0,
    # Clusters split at inverse temperatures of 2e-4 to 1e-2: slow there, so that 128 components find 64 images a class.
    "objective.elbo.mask_annealing_steps": 2_000,
    "objective.elbo.mask_annealing_start": 1e-3,
    "objective.elbo.mask_annealing_end": 0.1,
}


def get_config(preset: str = ""):
    """One mask an image."""
    return shapes.experiment(CTC, preset)
