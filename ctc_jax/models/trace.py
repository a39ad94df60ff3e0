"""All that was drawn for a batch: what objectives, evaluation and pictures read. Tests: test_chain_model.py."""

from typing import Any, NamedTuple

from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from ctc_jax.distributions.masked import Masked, MaskedDistribution

PerImage = Float[Array, "*samples batch"]
# By name, in whatever order; a model's own `latents` say in which they are generated.
Latents = dict[str, Masked]


class Site(NamedTuple):
    """One latent, drawn.

    Attributes:
      draw: its values and mask.
      posterior: q of it given the image and what was drawn before; None where the family has no such distribution.
      prior: p of it given what the generative order puts above it.
      log_q: log density of the draw under the posterior, nats.
      kl: KL(posterior || prior), nats: exact where it has a closed form, else an estimate by this draw.
      deferred: the part of `kl` that depends on latents drawn later, nats; None where there is no such part.
    """

    draw: Masked
    posterior: MaskedDistribution | None
    prior: MaskedDistribution
    log_q: PerImage
    kl: PerImage
    deferred: PerImage | None = None

    @property
    def log_prior(self) -> PerImage:
        """log density of the draw under the prior, nats."""
        return self.prior.log_prob(self.draw)

    @property
    def log_unselected(self) -> PerImage:
        """log density under the prior of the values that the mask does not select, nats."""
        return self.prior.log_unselected(self.draw)

    @property
    def log_mask(self) -> PerImage:
        """log q of the mask, nats."""
        return self.posterior.mask_log_prob(self.draw.mask)

    @property
    def mask_kl(self) -> PerImage:
        """The part of `kl` that the masks have, nats."""
        q, p = self.posterior.masks, self.prior.masks
        # A prior that depends on latents drawn later depends on this mask too, and is scored at the draw.
        return q.kl(p) if self.deferred is None else q.negative_entropy() - p.mask_log_prob(self.draw.mask)


class Trace(NamedTuple):
    """Every latent of a batch, and what the image has of them.

    Attributes:
      latents: what was drawn, and what was given with the image.
      sites: each latent that was drawn, by its name.
      pixels: p(x | latents).
      log_likelihood: log p(x | latents) of the batch, nats; annealed where the schedule says so.
    """

    latents: Latents
    sites: dict[str, Site]
    pixels: Distribution
    log_likelihood: PerImage

    @property
    def bound(self) -> "Bound":
        """The evidence lower bound of these draws in parts, nats."""
        return Bound(self.log_likelihood, {name: site.kl for name, site in self.sites.items()})

    @property
    def joint(self) -> "Joint":
        """log p(x, z) of these draws in its parts, nats."""
        return Joint(
            self.log_likelihood,
            {name: site.log_prior for name, site in self.sites.items()},
            {name: site.log_unselected for name, site in self.sites.items()},
        )

    @property
    def log_weight(self) -> PerImage:
        """log p(x, z) - log q(z | x), nats."""
        return self.log_likelihood + sum(site.log_prior - site.log_q for site in self.sites.values())


class Joint(NamedTuple):
    """log p(x, z) in its parts, nats; annealing needs the parts, not their sum.

    Attributes:
      log_likelihood: log p(x | z).
      log_prior: log p of each latent given those above it.
      log_unselected: log density of the values of each that its mask does not select, which are no part of z.
    """

    log_likelihood: PerImage
    log_prior: dict[str, PerImage]
    log_unselected: dict[str, PerImage]

    @property
    def total(self) -> Float[Array, "..."]:
        """log p(x, z)."""
        return self.log_likelihood + sum(self.log_prior.values())

    def of_all(self, beta: Float[Array, ""] | float = 1.0) -> Float[Array, "..."]:
        """log p(z) p(x | z)^beta times the density of the values that no mask selects: what chains move on.

        These values integrate to 1, so that neither log p(x) nor a posterior of masks and selected values changes.
        """
        return beta * self.log_likelihood + sum(self.log_prior.values()) + sum(self.log_unselected.values())


class Bound(NamedTuple):
    """The evidence lower bound in parts, nats; their gradients are estimates of those of its expectation.

    Attributes:
      log_likelihood: log p(x | z), or what an estimator makes of it.
      kl: of each latent.
    """

    log_likelihood: Float[Array, " batch"]
    kl: dict[str, Float[Array, " batch"]]


class Schedule(NamedTuple):
    """Where training is, for what follows a schedule.

    Attributes:
      step: of training; None is the end of every schedule.
      kl_weight: what a nat of KL costs in the loss, for masks whose draw changes it.
      likelihood: inverse temperature in (0, 1] of the likelihood's masks, by which the likelihood becomes a lower bound
        on it; None is the likelihood.
    """

    step: Any = None
    kl_weight: Any = 1.0
    likelihood: Any = None


END = Schedule()
