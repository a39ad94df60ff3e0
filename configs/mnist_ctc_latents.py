"""Dense CTC latents on binarized MNIST: twenty choices of ten alternatives, each with a Gaussian intensity of its own.

python launch.py --config=configs/mnist_ctc_latents.py              # linear networks
python launch.py --config=configs/mnist_ctc_latents.py:nonlinear    # two hidden layers of 200 on each side
python launch.py --config=configs/mnist_ctc_latents.py:cpu          # linear; two CPU cores, a few minutes
"""

from configs import mnist_masks

CTC = {
    "model.mask_vae.latent": "ctc",
    "model.latents": 20,
    "model.mask_vae.categories": 10,
    "model.mask_vae.prior": "fixed",
}
PRESETS = {"nonlinear": {**mnist_masks.NONLINEAR, "train.steps": 1_000_000, "train.learning_rate": 1e-4}}


def get_config(preset: str = ""):
    """Masks times Gaussian values."""
    return mnist_masks.experiment(CTC, preset, PRESETS)
