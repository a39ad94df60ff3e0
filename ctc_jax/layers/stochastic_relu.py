"""A Bernoulli gate times a value at every unit. Tests: tests/layers/test_stochastic_relu.py."""

import flax.linen as nn
from jaxtyping import Array, Float

from ctc_jax.distributions import BernoulliTimesContinuous
from ctc_jax.layers.mask_parameters import MaskParameters, check_beta
from ctc_jax.layers.masked_draw import select_values
from ctc_jax.layers.masked_layer import MaskedLayer


class StochasticReLU(MaskedLayer):
    """x = m * s, m ~ Bernoulli, at every unit of the features.

    Tied with deterministic values it is a * Bernoulli(sigmoid(beta a)): at beta = 1 its mean is SiLU, and as beta
    goes to infinity it becomes ReLU, which `math.inf` gives exactly, gradient included (0 at a = 0).

    Attributes:
      beta: of gates tied to the pre-activation; `math.inf` for ReLU; None for gates with logits of their own.
      gaussian: values are Gaussian around the pre-activation with a learned scale; else the pre-activation.

    Raises:
      ValueError: beta is not above 0.
    """

    beta: float | None = 1.0
    gaussian: bool = False

    def __post_init__(self):
        check_beta(self.beta)
        super().__post_init__()

    @nn.compact
    def distribution(self, features: Float[Array, "batch ..."]) -> BernoulliTimesContinuous:
        """Of each unit, from its pre-activation `[batch, ..., units]`: batch shape that of the features."""
        return MaskParameters(self.beta, self.gaussian, name="parameters")(features).gates()

    def select(self, mask: Float[Array, "batch ..."], values: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """m * s."""
        return select_values(mask, values)
