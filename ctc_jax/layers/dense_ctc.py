"""A code of masks, alone or times Gaussian values, from a dense layer. Tests: tests/layers/test_dense_ctc.py."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from ctc_jax.distributions import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.layers.unit_head import LOG_SCALES
from ctc_jax.layers.units import Units


@dataclass(frozen=True)
class DenseCTC:
    """A code: z = m, or z = m * s with s Gaussian, m gates or one-hot masks over blocks of units.

    With `beta` mask logits are tied to the values' locations: one-hot masks are then local winner-take-all, gates
    stochastic ReLUs, and `math.inf` gives their deterministic limits.

    Attributes:
      kind: BERNOULLI for gates, CATEGORICAL for one-hot masks.
      masks: how many.
      categories: K of a categorical mask; not looked at for gates.
      valued: whether a mask multiplies Gaussian values, one for each alternative.
      beta: of tied logits; None for logits of their own.

    Raises:
      ValueError: no mask, one category, or tied logits without values.
    """

    kind: MaskKind
    masks: int
    categories: int
    valued: bool
    beta: float | None = None

    def __post_init__(self):
        if self.masks < 1:
            raise ValueError(f"{self.masks} masks; allowed: 1 or more")
        if self.kind == CATEGORICAL and self.categories < 2:
            raise ValueError(f"K = {self.categories} categories leave no choice; allowed: 2 or more")
        if self.beta is not None and not (self.valued and self.beta > 0):
            raise ValueError(f"beta is {self.beta}; allowed: above 0 and with values, or None for free logits")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example's mask: masks, and categories if they are categorical."""
        return (self.masks,) if self.kind == BERNOULLI else (self.masks, self.categories)

    @property
    def units(self) -> int:
        """Numbers in one example's latent."""
        return math.prod(self.shape)

    @property
    def parameters(self) -> int:
        """Numbers that a distribution takes: free logits, and a location and a log scale for each value."""
        return self.units * ((self.beta is None) + 2 * self.valued)

    def distribution(self, parameters: Float[Array, "batch parameters"]) -> MaskedDistribution:
        """Masks and, if they belong to it, values; parameters of 0 are uniform masks times N(0, 1)."""
        free = self.beta is None
        parts = jnp.split(parameters, free + 2 * self.valued, axis=-1)
        parts = [part.reshape(-1, *self.shape) for part in parts]
        if not self.valued:
            return MaskedDistribution(self.kind, parts[0], None)
        loc, log_scale = parts[-2:]
        scale = jnp.exp(jnp.clip(log_scale, *LOG_SCALES))
        if not free:
            hard = math.isinf(self.beta)
            return Units(loc if hard else self.beta * loc, loc, scale, hard).distribution(self.kind)
        return MaskedDistribution(self.kind, parts[0], dist.Normal(loc, scale))

    def start(
        self, key: Key[Array, ""], shape: tuple[int, int], dtype: DTypeLike
    ) -> Float[Array, "features parameters"]:
        """Initializer of the kernel that gives the parameters.

        Logits and locations at full gain, or a code says nothing of its image at first; scales near 1.
        """
        full, small = (nn.initializers.variance_scaling(gain, "fan_in", "truncated_normal") for gain in (1.0, 0.01))
        key_full, key_small = jax.random.split(key)
        scales = self.units if self.valued else 0
        parts = [full(key_full, (shape[0], shape[1] - scales), dtype)]
        if scales:
            parts.append(small(key_small, (shape[0], scales), dtype))
        return jnp.concatenate(parts, axis=1)
