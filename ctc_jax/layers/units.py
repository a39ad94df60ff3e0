"""Units of a layer before masks choose among them. Tests: tests/layers/test_units.py."""

from collections.abc import Callable
from typing import NamedTuple

import numpyro.distributions as dist
from jaxtyping import Array, Float

from ctc_jax.distributions import MaskKind
from ctc_jax.distributions.masked import MaskedDistribution

# The probability of what a hard mask leaves out is exp(-CERTAIN), exactly 0, and 0 times its logarithm is 0, not NaN.
CERTAIN = 1e4


class Units(NamedTuple):
    """What masks and values over units are made from, each of shape `[batch, ..., units]`, float32.

    Attributes:
      logits: nats; where `hard`, what a mask is the largest or the positive one of; None where nothing is masked.
      loc: of the values.
      scale: their standard deviation; None where they are deterministic.
      hard: the mask is certain.
    """

    logits: Float[Array, "batch ..."] | None
    loc: Float[Array, "batch ..."]
    scale: Float[Array, "batch ..."] | None
    hard: bool = False

    @classmethod
    def of(cls, distribution: MaskedDistribution) -> "Units":
        """The units, as they are arranged there, of masks times Gaussian values."""
        return cls(distribution.logits, distribution.values.loc, distribution.values.scale)

    def arranged(self, arrange: Callable[[Array], Array]) -> "Units":
        """The units in another arrangement."""
        logits, scale = (None if of is None else arrange(of) for of in (self.logits, self.scale))
        return Units(logits, arrange(self.loc), scale, self.hard)

    def changed(self, change: "Units", *, tied: bool) -> "Units":
        """Logits plus those of a change, locations moved by so many of their scales, scales times those of the change.

        The KL of values so changed to these is 1/2 sum (loc^2 + scale^2 - 1) - log scale of the change alone: narrow
        values do not make it explode, as a step in nats of their own would.

        Args:
          change: neither it nor this is hard or deterministic.
          tied: logits are those of the locations, and move as they do.
        """
        logits = None
        if self.logits is not None:
            logits = self.logits + (self.scale * change.logits if tied else change.logits)
        return Units(logits, self.loc + self.scale * change.loc, self.scale * change.scale)

    def combined(self, other: "Units") -> "Units":
        """Values of the product of both densities, normalized; logits added; neither is hard or deterministic.

        Precisions add, and locations are means by precision: so a ladder VAE combines what it found on its way up with
        what its prior says on the way down (Sønderby et al. 2016, equations 17 and 18).
        """
        precision, precision_of_other = self.scale**-2, other.scale**-2
        total = precision + precision_of_other
        loc = (precision * self.loc + precision_of_other * other.loc) / total
        return Units(None if self.logits is None else self.logits + other.logits, loc, total**-0.5)

    def distribution(self, kind: MaskKind | None) -> MaskedDistribution:
        """Masks of a kind over these units, categorical ones over the last axis, times their values."""
        values = dist.Delta(self.loc) if self.scale is None else dist.Normal(self.loc, self.scale)
        if kind is None:
            return MaskedDistribution(None, None, values)
        logits = CERTAIN * (2.0 * kind.harden(self.logits) - 1.0) if self.hard else self.logits
        return MaskedDistribution(kind, logits, values)
