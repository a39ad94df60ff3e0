"""Shapes with one bin-integrated Gaussian a pixel: its mean is every shift and contrast at once.

python launch.py --config=configs/shapes_gaussian.py
python launch.py --config=configs/shapes_gaussian.py:long
"""

from configs import shapes


def get_config(preset: str = ""):
    """Unimodal pixels, at the budget of shapes_ctc."""
    return shapes.experiment({"likelihood.name": "gaussian", "likelihood.fixed_scale": 30.0}, preset)
