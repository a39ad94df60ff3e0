"""Which models inference serves. Tests: tests/inference/test_infer.py, tests/inference/test_annealing.py."""

from functools import partial

import jax

from ctc_jax.errors import UserError
from ctc_jax.inference.point import labels
from ctc_jax.models import Model, Params

ALLOWED = "a model with a latent that is not given with the image"


def unserved(model: Model, params: Params) -> str:
    """Why there is nothing to infer in this model, in words; "" where there is.

    Args:
      model: any.
      params: its parameters, or their shapes.
    """
    latents, _ = jax.eval_shape(partial(model.generate, count=1), params, jax.random.key(0))
    given = labels(latents)
    return f"{', '.join(given)} is given with the image" if len(given) == len(latents) else ""


def check_served(model: Model, params: Params) -> None:
    """Refuses a model in which there is nothing to infer.

    Raises:
      UserError: each of its latents is given with the image.
    """
    if why := unserved(model, params):
        raise UserError(f"inference moves latents: {why}; allowed: {ALLOWED}")
