"""A hierarchy so small that its masks can be enumerated, at values that are held. Part of hierarchy.py.

Tests: tests/benchmarks/gradients/test_tiny.py.
"""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ctc_jax.data.shapes import density
from ctc_jax.gradients import AbstractEstimator, Nested, SinglePass, SparseReward

COUNTS = {"images": 8_192, "test_images": 1_024}
# On 4 x 4 pixels with a unit a position: four masks of four below, and one above them.
SIZES = {"model.ctc_hierarchy.channels": 1, "model.latents": 4}


def images() -> dict[str, str]:
    """What a config says of the data: `shapes`, each 4 x 4 pixels averaged into one."""
    random, path, found = np.random.default_rng(0), Path(tempfile.mkdtemp()) / "tiny.npz", {}
    for key, count in COUNTS.items():
        pixels = density().sample(random, count)[0].reshape(count, 4, 4, 4, 4)
        found[key] = np.rint(pixels.mean(axis=(2, 4))).astype(np.uint8)
    np.savez(path, **found)
    return {"data.name": "npz", "data.npz.path": str(path)}


def held(estimator: AbstractEstimator, key: Key[Array, ""]) -> AbstractEstimator:
    """An estimator that draws of a key of its own, so that what else a model draws can stay as it is.

    Where it wants to be shown the linear layer upon the masks, and a hierarchy has none, that layer is the identity.
    """

    def own(given: Key[Array, ""]) -> Key[Array, ""]:
        return jax.random.fold_in(key, jax.random.bits(given))

    if isinstance(estimator, SinglePass):

        class Held(SinglePass):
            unbiased, kinds = estimator.unbiased, estimator.kinds

            def mask(self, given, logits, *, kind, step=None):
                return estimator.mask(own(given), logits, kind=kind, step=step)

    else:

        class Held(Nested):
            unbiased, kinds = estimator.unbiased, estimator.kinds

            def estimate(self, given, logits, reward, **options):
                shown = reward
                if estimator.needs_sparse_reward:
                    identity = jnp.eye(logits[0].size)
                    shown = SparseReward(
                        jnp.ones(logits.shape), identity, lambda hidden: reward(hidden.reshape(logits.shape))
                    )
                return estimator(own(given), logits, shown, **options)

    return Held()
