"""Fashion-MNIST, categorical-times-continuous: five logistics, or exactly black.

python launch.py --config=configs/fashion_ctc.py        # one accelerator
python launch.py --config=configs/fashion_ctc.py:cpu    # two CPU cores, about ten minutes
"""

from configs import fashion


def get_config(preset: str = ""):
    """CTC pixels with an off component."""
    return fashion.experiment(
        {"likelihood.name": "ctc", "likelihood.ctc.components": 5, "likelihood.ctc.off": True}, preset
    )
