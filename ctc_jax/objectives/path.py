"""Gradients of log-weights along the latents' paths alone (Roeder et al. 2017, arXiv:1703.09194).

The gradient of log q(z; phi) at a fixed z is 0 in the mean and noise in each draw; without it nothing is left of log q
but what reaches phi through z. Tests: tests/objectives/test_path.py.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.data import Batch
from ctc_jax.models import Bound, Joint, Latents, Model, Params, Schedule, Trace
from ctc_jax.options import OptionError
from ctc_jax.posteriors import REGISTRY


def path_bound(model: Model, params: Params, batch: Batch, drawn: Latents, joint: Joint, schedule: Schedule) -> Bound:
    """The bound at latents as drawn, in parts, each KL estimated; log q has the gradient of their paths alone.

    Args:
      model: whose q scores any latents.
      params: its parameters.
      batch: images.
      drawn: the latents that have a posterior.
      joint: log p of the images and of all latents.
      schedule: by which they were drawn.
    """
    held = model.infer(jax.lax.stop_gradient(params), None, batch, given=drawn, schedule=schedule)
    kl = {name: held.sites[name].log_q - log_prior for name, log_prior in joint.log_prior.items()}
    return Bound(joint.log_likelihood, kl)


def draws(trace: Trace) -> Latents:
    """The latents that have a posterior: what `infer` is given to score them."""
    return {name: site.draw for name, site in trace.sites.items()}


def check_path(model: Model, option: str, value: str) -> None:
    """Refuses a model whose latents have no path, or whose q is known at its own draws alone.

    Raises:
      OptionError: it has masks, or another posterior than those that score any latent.
    """
    if model.mask_sites:
        names = ", ".join(site.name for site in model.mask_sites)
        raise OptionError(option, value, f"total: there is no path through the masks of {names}")
    check_scored(model, option, value)


def check_scored(model: Model, option: str, value: str) -> set[str]:
    """Refuses a model whose q is known at its own draws alone; the names of the latents that have a q.

    Raises:
      OptionError: a posterior does not score any latent.
    """
    image = jnp.zeros((1, *model.image_shape), jnp.int32)
    batch = Batch(image, jnp.zeros(1, jnp.int32))

    def scored(params: Params) -> dict[str, Float[Array, "..."]]:
        drawn = draws(model.infer(params, None, batch))
        return {name: site.log_q for name, site in model.infer(params, None, batch, given=drawn).sites.items()}

    try:
        return set(jax.eval_shape(scored, jax.eval_shape(model.init, jax.random.key(0))))
    except NotImplementedError:
        families = [name for name, part in REGISTRY.items() if part().build(latents=2).scored]  # type: ignore[attr-defined]
        allowed = (
            f"this with posterior.name {', '.join(families)}, whose density is known at any latent; others know that "
            "of their own draws alone"
        )
        raise OptionError(option, value, allowed) from None
