"""Whether a code needs intensity: dense networks of one size around eight numbers, choices, or both, on grey digits.

The experiment is `--sweep=configs/sweeps/intensity_claim.py` on each of these; docs/founding-claim.md says what for.

python launch.py --config=configs/intensity_claim.py            # MNIST as it is
python launch.py --config=configs/intensity_claim.py:contrast   # each image at a contrast and brightness of its own
"""

from configs import base

SHARED = {
    "data.name": "mnist",
    "model.name": "mlp_vae",
    "model.latents": 8,
    "model.width": 200,
    "model.blocks": 2,
    "model.features": 1,
    "estimator.name": "pathwise",
    # One scale for all: distortion is then a squared error, and a nat of rate buys the same of it in every row.
    "likelihood.name": "gaussian",
    "likelihood.scale": "fixed",
    "likelihood.fixed_scale": 32.0,
    "train.steps": 3_000,
    "train.batch_size": 64,
    "train.learning_rate": 1e-3,
    "train.log_every": 500,
    "train.evaluate_every": 1_000,
    "train.checkpoint_every": 1_000,
    "train.picture_every": 0,
    "evaluate.importance_samples": 10,
}
PRESETS = {"contrast": {"data.contrast": 0.75, "data.brightness": 0.5}}


def get_config(preset: str = ""):
    """Eight Gaussian numbers: what the sweep changes."""
    return base.experiment(SHARED, presets=PRESETS, preset=preset)
