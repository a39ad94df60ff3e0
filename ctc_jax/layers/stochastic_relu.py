"""A Bernoulli gate times a value at every unit. Tests: tests/layers/test_masked_layers.py."""

from dataclasses import dataclass
from typing import ClassVar

from ctc_jax.distributions import BERNOULLI, MaskKind
from ctc_jax.layers.masked_layer import Unmasked


@dataclass(frozen=True)
class StochasticReLU(Unmasked):
    """x = m * s, m ~ Bernoulli, at every unit.

    Tied with deterministic values it is a * Bernoulli(sigmoid(beta a)): at beta = 1 its mean is SiLU, and as beta
    goes to infinity it becomes ReLU, which `math.inf` gives exactly, gradient included (0 at a = 0).
    """

    kind: ClassVar[MaskKind] = BERNOULLI
