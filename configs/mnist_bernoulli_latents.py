"""200 Bernoulli latents on binarized MNIST: the usual test of gradient estimators; --config.estimator.name chooses one.

python launch.py --config=configs/mnist_bernoulli_latents.py              # linear networks, resampled at each step
python launch.py --config=configs/mnist_bernoulli_latents.py:linear       # the same, by its name
python launch.py --config=configs/mnist_bernoulli_latents.py:nonlinear    # two hidden layers of 200 on each side
python launch.py --config=configs/mnist_bernoulli_latents.py:static       # RELAX's: fixed binarization, batches of 24
python launch.py --config=configs/mnist_bernoulli_latents.py:cpu          # linear; two CPU cores, a few minutes
"""

from configs import mnist_masks

BERNOULLI = {"model.mask_vae.latent": "bernoulli", "model.latents": 200}
PRESETS = {
    "linear": {"model.blocks": 0},
    "nonlinear": {**mnist_masks.NONLINEAR, "train.steps": 1_000_000, "train.learning_rate": 1e-4},
    "static": {
        "data.name": "static_mnist",
        "data.binarization": "none",
        "train.steps": 2_000_000,
        "train.batch_size": 24,
        "train.learning_rate": 1e-4,
    },
}


def get_config(preset: str = ""):
    """Bernoulli latents."""
    return mnist_masks.experiment(BERNOULLI, preset, PRESETS)
