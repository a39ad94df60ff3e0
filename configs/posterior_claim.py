"""Where claim c is tested, a better likelihood against a better posterior: one dense VAE, the same for every row.

The experiment is `--sweep=configs/sweeps/posteriors.py` on each of these (docs/founding-claim.md). The network is small
so that posteriors which follow the model's own gradient can be afforded.

python launch.py --config=configs/posterior_claim.py            # grey MNIST
python launch.py --config=configs/posterior_claim.py:shapes     # shapes, whose every mode is known
python launch.py --config=configs/posterior_claim.py:fashion    # Fashion-MNIST
python launch.py --config=configs/posterior_claim.py:cifar10    # CIFAR-10
"""

from configs import mnist

SHARED = {
    "data.name": "mnist",
    "likelihood.name": "logistic",
    "likelihood.ctc.components": 5,
    "model.latents": 32,
    "model.features": 8,  # with 4, masks have too little to see: after 4,000 steps ctc is behind the logistic
    "model.activation": "relu",
    "train.steps": 2_500,
    "train.batch_size": 64,
    "train.learning_rate": 2e-3,
    "train.clip_norm": 1_000.0,
    "train.evaluate_every": 2_500,
    "train.checkpoint_every": 2_500,
    "train.picture_every": 0,
    "evaluate.importance_samples": 2,
    "evaluate.quality_samples": 2_000,
}
PRESETS = {
    "shapes": {"data.name": "shapes", "train.steps": 5_000, "train.evaluate_every": 5_000},
    "fashion": {"data.name": "fashion_mnist"},
    "cifar10": {"data.name": "cifar10"},
}


def get_config(preset: str = ""):
    """A flat VAE with a unimodal likelihood: what the sweep changes."""
    return mnist.experiment(SHARED, preset, PRESETS)
