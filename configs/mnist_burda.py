"""One-layer VAE and importance-weighted autoencoder with the schedule of Burda et al. (2016), days on two cores.

python launch.py --config=configs/mnist_burda.py           # the ELBO
python launch.py --config=configs/mnist_burda.py:iwae      # the bound of 5 samples
"""

from configs import mnist, mnist_bernoulli

# Section 5 and appendix of the paper (arXiv:1509.00519).
BURDA = {
    **mnist_bernoulli.DYNAMIC,
    "model.features": 1,
    "train.steps": 8_200_000,  # 3,280 passes over 50,000 images
    "train.batch_size": 20,
    "train.schedule": "burda",
    "train.epsilon": 1e-4,
    "train.ema_decay": 0.0,
    "train.log_every": 10_000,
    "train.evaluate_every": 100_000,
    "train.checkpoint_every": 50_000,
    "train.picture_every": 0,
    "evaluate.importance_samples": 5_000,
}
PRESETS = {"iwae": {"objective.name": "importance_weighted"}}


def get_config(preset: str = ""):
    """Bernoulli pixels, resampled at each step."""
    return mnist.experiment(BURDA, preset, PRESETS)
