"""Where the founding claim is tested: a VAE of three resolutions, the same for every likelihood and latent family.

The experiment is `--sweep=configs/sweeps/founding_claim.py` on each of these; docs/founding-claim.md is its page.

python launch.py --config=configs/founding_claim.py                # grey MNIST
python launch.py --config=configs/founding_claim.py:shapes         # shapes, whose every mode is known
python launch.py --config=configs/founding_claim.py:fashion        # Fashion-MNIST
python launch.py --config=configs/founding_claim.py:cifar10        # CIFAR-10, small enough for two cores
python launch.py --config=configs/founding_claim.py:cifar10_gpu    # CIFAR-10, for one accelerator
"""

from configs import cifar_hierarchy, hierarchy

SHARED = {
    "data.name": "mnist",
    "model.ctc_hierarchy.families": "none",
    "estimator.name": "pathwise",
    "likelihood.name": "logistic",
    "likelihood.ctc.components": 5,
    "train.steps": 1_000,
    "train.batch_size": 32,
    "train.clip_norm": 1_000.0,
    "train.evaluate_every": 1_000,
    "train.checkpoint_every": 500,
    "evaluate.importance_samples": 2,
    "evaluate.quality_samples": 5_000,
}
PRESETS = {
    "shapes": {"data.name": "shapes", "train.steps": 2_000, "evaluate.importance_samples": 5},
    "fashion": {"data.name": "fashion_mnist"},
    "cifar10": {"data.name": "cifar10", "model.ctc_hierarchy.levels": 3, "model.latents": 64},
    "cifar10_gpu": {**cifar_hierarchy.CIFAR, "likelihood.name": "logistic", "evaluate.importance_samples": 10},
}


def get_config(preset: str = ""):
    """A flat VAE with a unimodal likelihood: what the sweep changes."""
    return hierarchy.experiment(SHARED, preset, PRESETS)
