"""What every recognition family is called with and gives back. Tests: tests/posteriors/test_invariants.py."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution

# log p(x, z) of a batch of latents, nats.
LogJoint = Callable[[Float[Array, "batch latents"]], Float[Array, " batch"]]


class PosteriorDraw(NamedTuple):
    """A latent and its density, from one pass: to invert a flow for the density of its own sample takes many.

    Attributes:
      latent: z ~ q(z|x), reparameterized.
      log_q: log q(z|x) at that latent, nats. With auxiliary variables v it is log q(z, v|x) - log r(v|x, z), so that
        log p(x, z) - log_q stays the logarithm of an unbiased weight.
      kl: KL(q || prior), nats; None where it has no closed form: `log_q - prior.log_prob(latent)` estimates it then.
    """

    latent: Float[Array, "batch latents"]
    log_q: Float[Array, " batch"]
    kl: Float[Array, " batch"] | None


class AbstractPosterior(nn.Module):
    """A family of q(z|x) given the encoder's features.

    Attributes:
      latents: size of z.
      gain: of the start of the locations, relative to the features: small where q is to start near the prior.
      needs_log_joint: whether a draw needs the model's joint density.
    """

    latents: int
    gain: float = dataclasses.field(default=1.0, kw_only=True)
    needs_log_joint: ClassVar[bool] = False

    def __call__(
        self,
        key: Key[Array, ""],
        hidden: Float[Array, "batch features"],
        prior: Distribution,
        log_joint: LogJoint | None = None,
    ) -> PosteriorDraw:
        """One latent for each row of features, in float32.

        Args:
          key: of the draw.
          hidden: features of the images.
          prior: p(z), batch shape `[batch]` and event shape `[latents]`.
          log_joint: of the model at this batch; never None where `needs_log_joint`.
        """
        raise NotImplementedError

    def log_prob(
        self, hidden: Float[Array, "batch features"], latent: Float[Array, "batch latents"]
    ) -> Float[Array, " batch"]:
        """log q(z|x) of any latent, nats.

        Raises:
          NotImplementedError: the family knows the density of its own draws alone; it is not `scored`.
        """
        raise NotImplementedError(f"{type(self).__name__} knows the density of its own draws alone")

    @property
    def scored(self) -> bool:
        """Whether `log_prob` takes any latent."""
        return type(self).log_prob is not AbstractPosterior.log_prob

    def center(self, hidden: Float[Array, "batch features"]) -> Float[Array, "batch latents"]:
        """A typical latent, the same at each call: the mean where there is one in closed form.

        It depends on every parameter, so that initialization through it makes them all.
        """
        raise NotImplementedError
