"""Shapes with a 256-way softmax a pixel: each pixel's law is exact, that they move together is not said.

python launch.py --config=configs/shapes_categorical.py
python launch.py --config=configs/shapes_categorical.py:long
"""

from configs import shapes


def get_config(preset: str = ""):
    """Independent categorical pixels, at the budget of shapes_ctc."""
    return shapes.experiment({"likelihood.name": "categorical"}, preset)
