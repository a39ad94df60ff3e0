"""Which models inference serves. Tests: tests/inference/test_infer.py, tests/inference/test_annealing.py."""

from functools import partial

import jax
import jax.numpy as jnp

from ctc_jax.errors import UserError
from ctc_jax.models import Model, Params

ALLOWED = "a model whose latents are all continuous, without masks"


def unserved(model: Model, params: Params) -> str:
    """Why values of this model's latents cannot be moved, in words; "" where they can.

    Args:
      model: any.
      params: its parameters, or their shapes.
    """
    if model.mask_sites:
        return f"{', '.join(site.name for site in model.mask_sites)} has masks"
    latents, _ = jax.eval_shape(partial(model.generate, count=1), params, jax.random.key(0))
    fixed = [name for name, latent in latents.items() if not jnp.issubdtype(latent.value.dtype, jnp.floating)]
    return f"{', '.join(fixed)} is not continuous" if fixed else ""


def check_served(model: Model, params: Params) -> None:
    """Refuses a model that inference does not serve.

    Raises:
      UserError: it has masks, or a latent that is not continuous.
    """
    if why := unserved(model, params):
        raise UserError(f"inference moves values: {why}; allowed: {ALLOWED}")
