"""A code of D masks over K values each, from dense features. Tests: tests/layers/test_dense_ctc.py."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import CategoricalTimesContinuous
from ctc_jax.layers.mask_parameters import MaskParameters, check_beta
from ctc_jax.layers.masked_draw import select_values
from ctc_jax.layers.masked_layer import MaskedLayer


class DenseCTC(MaskedLayer):
    """z = m * s: in each of D places one of K values, whose locations are a dense layer of the features.

    Attributes:
      masks: D.
      categories: K.
      beta: of masks tied to the locations; `math.inf` for the largest; None, the default, for logits from a dense
        layer of their own.
      gaussian: values are Gaussian with a scale learned as a function of the features; else deterministic.

    Raises:
      ValueError: no mask, fewer than 2 categories, or beta is not above 0.
    """

    masks: int
    categories: int
    beta: float | None = None
    gaussian: bool = True

    def __post_init__(self):
        check_beta(self.beta)
        if self.masks < 1:
            raise ValueError(f"{self.masks} masks; allowed: 1 or more")
        if self.categories < 2:
            raise ValueError(f"K = {self.categories} categories leave no choice; allowed: 2 or more")
        super().__post_init__()

    @nn.compact
    def distribution(self, features: Float[Array, "batch features"]) -> CategoricalTimesContinuous:
        """Of each place: batch shape `[batch, masks]`, event shape `[categories]`."""
        loc = nn.Dense(self.masks * self.categories, name="loc")(features.astype(jnp.float32))
        units = MaskParameters(self.beta, self.gaussian, name="parameters")(features, loc)
        return units.arranged(lambda of: of.reshape(len(of), self.masks, self.categories)).choices()

    def select(
        self, mask: Float[Array, "batch masks categories"], values: Float[Array, "batch masks categories"]
    ) -> Float[Array, "batch masks categories"]:
        """m * s, sparse."""
        return select_values(mask, values)
