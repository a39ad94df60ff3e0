"""A config small enough to compile and train in a second."""

import numpy as np
import pytest

from configs import base


@pytest.fixture(scope="session")
def pixels(tmp_path_factory) -> str:
    images = np.random.default_rng(0).integers(0, 256, (96, 4, 4, 1), dtype=np.uint8)
    path = tmp_path_factory.mktemp("data") / "pixels.npz"
    np.savez(path, images=images)
    return str(path)


@pytest.fixture
def tiny(pixels):
    """Makes the tiny config, with dotted changes."""

    def make(**changes):
        shared = {
            "data.name": "npz",
            "data.npz.path": pixels,
            "data.bits": 2,
            "model.name": "mlp_vae",
            "model.latents": 2,
            "model.width": 4,
            "model.blocks": 1,
            "model.features": 2,
            "model.activation": "tanh",
            "likelihood.name": "logistic",
            "likelihood.fixed_scale": 1.0,
            "train.steps": 12,
            "train.batch_size": 8,
            "train.warmup_steps": 0,
            "train.log_every": 4,
            "train.evaluate_every": 6,
            "train.checkpoint_every": 4,
            "train.picture_every": 0,
            "report.tensorboard": False,
        }
        return base.experiment({**shared, **{key.replace("__", "."): value for key, value in changes.items()}})

    return make
