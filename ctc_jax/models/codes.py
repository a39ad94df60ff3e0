"""Codes made of masks by name, and the options of their grid. Tests: tests/models/test_registry.py."""

from ctc_jax.distributions import BERNOULLI, CATEGORICAL
from ctc_jax.layers import NeighborhoodSchedule, SOMPooling
from ctc_jax.layers.dense_ctc import DenseCTC
from ctc_jax.options import OptionError

# Kind of the masks, whether they multiply values, and whether their logits are tied to these.
CODES = {
    "bernoulli": (BERNOULLI, False, False),
    "categorical": (CATEGORICAL, False, False),
    "bernoulli_ctc": (BERNOULLI, True, False),
    "ctc": (CATEGORICAL, True, False),
    "relu": (BERNOULLI, True, True),
    "lwta": (CATEGORICAL, True, True),
}


def code(name: str, masks: int, categories: int, beta: float) -> DenseCTC:
    """The code of that name.

    Raises:
      OptionError: one category, which leaves a mask no choice.
    """
    kind, valued, tied = CODES[name]
    if kind == CATEGORICAL and categories < 2:
        raise OptionError("categories", categories, "2 or more: one alternative leaves a mask no choice")
    return DenseCTC(kind, masks, categories, valued, beta if tied else None)


def pooling(sigma: float, steps: int, code: DenseCTC | None, name: str) -> SOMPooling | None:
    """The self-organizing map of a code's alternatives, or None where `sigma` is 0.

    Args:
      sigma: at the first step.
      steps: until it is 0; 0 keeps it.
      code: what it is a map of; None where a code is Gaussian.
      name: of the code.

    Raises:
      OptionError: a code whose alternatives lie on no grid.
    """
    if not sigma:
        return None
    if code is None or code.kind != CATEGORICAL:
        raise OptionError("som_sigma", sigma, f"0 with {name}: there are no alternatives on a grid")
    return SOMPooling(NeighborhoodSchedule(sigma, 0.0 if steps else sigma, steps))
