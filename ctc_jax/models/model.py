"""The three questions every model answers (design: one ELBO, one sampler, one evaluation for all of them).

Tests: tests/models/test_vae.py, tests/models/test_class_conditional.py.
"""

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.data import Batch

Params = Any
Latents = dict[str, jax.Array]


class ElboTerms(NamedTuple):
    """One-sample terms of the evidence lower bound, nats per image.

    Attributes:
      log_likelihood: log p(x|z) at one z ~ q(z|x), or what an estimator samples of it, [batch]. Its gradient is one of
        the expectation.
      kl: KL(q || p) of each layer, name -> [batch]; analytic where it has a closed form.
    """

    log_likelihood: Float[Array, " batch"]
    kl: dict[str, Float[Array, " batch"]]


@runtime_checkable
class Model(Protocol):
    """A generative model of images with its recognition model; all methods are pure functions of `params`.

    A batch carries images of integer levels [batch, height, width, channels] and labels [batch]. Latents are a
    dictionary of arrays whose leading axis is the batch.

    `mask_kinds` are the kinds of discrete mask among the latents, empty if there are none; `mask_levels` says how many
    are drawn one after another. A model with masks is a dataclass with a field `estimator`, the gradient through them,
    bound to its options; None scores the bound at sampled masks and gives these no gradient. It also has
    `recognize_masks(params, key, batch, step=None)`, which is `recognize` with the masks' own log q as third,
    `mask_probs(params, key, batch)`, which is q(m) of each latent with masks, `[batch, places, alternatives]`,
    `mask_price(params, key, batch)`, which is the part of each KL that its masks have, `[batch]`,
    `mask_sizes`, of each such latent the number of masks and of alternatives of each, `mask_values`, whether they
    multiply values, `mask_linear`, whether a linear layer comes next and its estimator is shown it, `mask_kl`, whether
    the KL of a latent depends on the masks drawn for another, and `mask_latents`, the latents that have masks and the
    kind of each, in the order in which a config names their estimators.
    """

    image_shape: tuple[int, int, int]
    mask_kinds: frozenset[str]
    mask_levels: int

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters, float32."""

    def recognize(self, params: Params, key: jax.Array, batch: Batch) -> tuple[Latents, Float[Array, " batch"]]:
        """z ~ q(z|x) and log q(z|x) in nats."""

    def log_joint(self, params: Params, batch: Batch, latents: Latents) -> Float[Array, " batch"]:
        """log p(x, z) in nats."""

    def generate(self, params: Params, key: jax.Array, count: int) -> tuple[Latents, Distribution]:
        """`count` latents from the prior, and the distribution on pixels that each gives."""

    def decode(self, params: Params, latents: Latents) -> Distribution:
        """The distribution on pixels given latents."""

    def elbo_terms(
        self,
        params: Params,
        key: jax.Array,
        batch: Batch,
        mask_annealing: jax.Array | None = None,
        step: jax.Array | None = None,
        kl_weight: jax.Array | float = 1.0,
    ) -> ElboTerms:
        """The bound in parts, sharing one pass of the networks.

        With `mask_annealing`, an inverse temperature in (0, 1], the likelihood is `annealed_log_prob`, which is below
        the likelihood and equal to it at 1. `step` is that of training, for what follows a schedule; without one, every
        schedule is at its end. `kl_weight` is what a nat of KL costs in the loss, for masks whose draw changes it; the
        terms themselves are not weighted.
        """

    def posterior_means(self, params: Params, batch: Batch) -> dict[str, Float[Array, "batch units"]]:
        """E_q[z|x] of each layer, for counting active units; empty for a model without learned latents."""


def at_hard_masks(model: Model) -> Model:
    """The model whose bound is scored at one sampled mask, whatever its estimator would draw, relax or average."""
    return dataclasses.replace(model, estimator=None) if model.mask_kinds else model


def pixel_log_prob(
    pixels: Distribution, image: Integer[Array, "batch height width channels"], mask_annealing: jax.Array | None
) -> Float[Array, " batch"]:
    """log p(x|z), or its annealed lower bound where an inverse temperature is given.

    A distribution without masks is its own annealed bound: a power mean of one value is that value.
    """
    if mask_annealing is None or not hasattr(pixels, "annealed_log_prob"):
        return pixels.log_prob(image)
    return pixels.annealed_log_prob(image, mask_annealing)
