"""Twenty categorical latents of ten alternatives on binarized MNIST; --config.estimator.name chooses an estimator.

python launch.py --config=configs/mnist_categorical_latents.py               # linear networks
python launch.py --config=configs/mnist_categorical_latents.py:nonlinear     # two hidden layers of 200 on each side
python launch.py --config=configs/mnist_categorical_latents.py:eight_by_four # ReinMax's: 8 of 4, 512-256 ReLU units
python launch.py --config=configs/mnist_categorical_latents.py:eight_by_four_rao # with Gumbels given the mask
python launch.py --config=configs/mnist_categorical_latents.py:eight_by_four_cv  # with a control variate of these
python launch.py --config=configs/mnist_categorical_latents.py:cpu           # linear; two CPU cores, a few minutes
"""

from configs import mnist_masks

CATEGORICAL = {"model.mask_vae.latent": "categorical", "model.latents": 20, "model.mask_vae.categories": 10}
# 160 epochs. Theirs scores grey pixels by a cross-entropy; pixels drawn anew have that as their mean.
EIGHT_BY_FOUR = {
    "model.latents": 8,
    "model.mask_vae.categories": 4,
    "model.width": 512,
    "model.blocks": 2,
    "model.mask_vae.narrowing": 2,
    "model.activation": "relu",
    "model.mask_vae.prior": "fixed",
    "model.mask_vae.centered": False,
    "estimator.name": "reinmax",
    "train.steps": 80_000,
    "train.learning_rate": 1e-3,
    "train.beta2": 0.999,
}
PRESETS = {
    "nonlinear": {**mnist_masks.NONLINEAR, "train.steps": 1_000_000, "train.learning_rate": 1e-4},
    "eight_by_four": EIGHT_BY_FOUR,
    "eight_by_four_rao": EIGHT_BY_FOUR | {"estimator.name": "reinmax_rao", "estimator.reinmax_rao.temperature": 0.5},
    "eight_by_four_cv": EIGHT_BY_FOUR | {"estimator.name": "reinmax_cv"},
}


def get_config(preset: str = ""):
    """Categorical latents."""
    return mnist_masks.experiment(CATEGORICAL, preset, PRESETS)
