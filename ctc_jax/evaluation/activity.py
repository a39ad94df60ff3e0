"""Active units of the latents (Burda et al. 2016). Tests: tests/evaluation/test_activity.py."""

from functools import partial

import jax
import numpy as np

from ctc_jax.data import Batch, Split, evaluation_batches
from ctc_jax.models import Model, Params

# A unit is active when Var_x(E_q[z|x]) is above this, as in the source.
THRESHOLD = 0.01


def active_units(model: Model, params: Params, split: Split, *, batch_size: int) -> dict[str, float]:
    """`active_units/<layer>`: units whose posterior mean varies over the split's images by more than 0.01."""
    means: dict[str, list[np.ndarray]] = {}
    for batch, weight, _ in evaluation_batches(split, batch_size):
        for name, values in _posterior_means(model, params, batch).items():
            means.setdefault(name, []).append(np.asarray(values, np.float64)[weight > 0])
    return {
        f"active_units/{name}": float(np.sum(np.var(np.concatenate(values), axis=0) > THRESHOLD))
        for name, values in means.items()
    }


@partial(jax.jit, static_argnums=0)
def _posterior_means(model: Model, params: Params, batch: Batch) -> dict[str, jax.Array]:
    return model.posterior_means(params, batch)
