"""What the MNIST experiments with discrete latents share, so that estimators can be compared. Not an experiment.

After the protocol of the RELAX paper (Grathwohl et al. 2018): linear networks, a learned prior, the encoder sees pixels
less their mean and the decoder 2 m - 1, Adam with beta2 = 0.99999 at a constant rate.
"""

from configs import base

SHARED = {
    "data.name": "mnist",
    "data.binarization": "dynamic",
    "model.name": "mask_vae",
    "model.mask_vae.prior": "learned",
    "model.mask_vae.centered": True,
    "model.blocks": 0,
    "model.width": 200,
    "model.features": 1,
    "likelihood.name": "bernoulli",
    "likelihood.bernoulli.output_layer": False,
    "estimator.name": "rloo",
    "train.steps": 500_000,
    "train.batch_size": 100,
    "train.learning_rate": 3e-4,
    "train.schedule": "constant",
    "train.beta2": 0.99999,
    "train.warmup_steps": 0,
    "train.log_every": 500,
    "train.evaluate_every": 5_000,
    "train.checkpoint_every": 5_000,
    "train.picture_every": 0,
}

# The nonlinear networks of the same literature: two layers of 200 units on each side.
NONLINEAR = {"model.blocks": 2, "model.activation": "leaky_relu", "model.negative_slope": 0.3}

# Two CPU cores, a few minutes with the evaluation.
CPU = {
    "train.steps": 20_000,
    "train.learning_rate": 1e-3,
    "train.schedule": "cosine",
    "train.beta2": 0.999,
    "evaluate.importance_samples": 20,
}


def experiment(changes: base.Changes, preset: str, presets: dict[str, base.Changes]):
    """The shared settings with one experiment's own."""
    return base.experiment({**SHARED, **changes}, presets={"cpu": CPU, **presets}, preset=preset)
