"""Active units of the latents (Burda et al. 2016). Tests: tests/evaluation/test_activity.py."""

from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float

from ctc_jax.data import Batch, Split, evaluation_batches
from ctc_jax.models import Model, Params

# A unit is active when Var_x(E_q[z|x]) is above this, as in the source.
THRESHOLD = 0.01


def active_units(model: Model, params: Params, split: Split, *, batch_size: int) -> dict[str, int]:
    """`active_units/<layer>`: units whose posterior mean varies over the split's images by more than 0.01."""
    found: dict[str, tuple[int, np.ndarray, np.ndarray]] = {}
    for batch, weight, _ in evaluation_batches(split, batch_size):
        for name, values in posterior_means(model, params, batch).items():
            values = np.asarray(values, np.float64)[weight > 0]
            mean = values.mean(axis=0)
            of_batch = len(values), mean, np.sum((values - mean) ** 2, axis=0)
            found[name] = _together(found[name], of_batch) if name in found else of_batch
    return {
        f"active_units/{name}": int(np.sum(squares / count > THRESHOLD)) for name, (count, _, squares) in found.items()
    }


def _together(one, other):
    """Count, mean and squared deviations of two parts (Chan et al. 1983): a feature map of all images fits nowhere."""
    (count, mean, squares), (other_count, other_mean, other_squares) = one, other
    total, apart = count + other_count, other_mean - mean
    shared = apart**2 * (count * other_count / total)
    return total, mean + apart * (other_count / total), squares + other_squares + shared


@partial(jax.jit, static_argnums=0)
def posterior_means(model: Model, params: Params, batch: Batch) -> dict[str, Float[Array, "batch units"]]:
    """E_q[z | x, the means of the latents drawn before] of each latent, or the center of a family without a mean."""
    sites = model.infer(params, None, batch).sites
    return {name: site.draw.product.reshape(len(batch.image), -1) for name, site in sites.items()}
