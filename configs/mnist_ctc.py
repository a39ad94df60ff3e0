"""The one-layer VAE on grey MNIST with a CTC likelihood: black, or one of four intensities.

python launch.py --config=configs/mnist_ctc.py
"""

from configs import mnist

CTC = {
    "data.name": "mnist",
    "likelihood.name": "ctc",
    "likelihood.ctc.components": 4,
    "likelihood.ctc.off": True,
    "model.features": 16,
    "train.steps": 30_000,
}


def get_config(preset: str = ""):
    """CTC pixels with an off component."""
    return mnist.experiment(CTC, preset)
