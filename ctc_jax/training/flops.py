"""Multiplications and additions of a traced function, by part of a network. Tests: tests/training/test_flops.py."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

# Words of a path like "transpose(jvp(Network.encode))/down_0/Conv_0".
WORDS = re.compile(r"\w+")


def flops(closed: Any, parts: Collection[str]) -> Counter[str]:
    """Of matrix products and convolutions, exactly: a multiplication and an addition for each term of a sum.

    Everything else, a step's elementwise work, is not counted. Of branches the most expensive one counts, and the
    body of a loop whose end is not known counts once.

    Args:
      closed: what `jax.make_jaxpr` gives.
      parts: names of a network's modules; what lies in none of them counts as "".
    """
    return _of(closed.jaxpr, "", frozenset(parts))


def _of(jaxpr: Any, path: str, parts: Collection[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for equation in jaxpr.eqns:
        here = f"{path}/{equation.source_info.name_stack}"
        name = equation.primitive.name
        if name in COUNTED:
            found[next((word for word in WORDS.findall(here) if word in parts), "")] += COUNTED[name](equation)
            continue
        inner = [_of(one, here, parts) for one in _jaxprs(equation.params)]
        if name == "cond":
            inner = [max(inner, key=Counter.total)]
        times = equation.params["length"] if name == "scan" else 1
        for counts in inner:
            found.update({part: times * count for part, count in counts.items()})
    return found


def _jaxprs(params: dict[str, Any]) -> Iterator[Any]:
    """Those that an equation computes: not the rules of custom derivatives, which are functions."""
    for value in params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            one = getattr(one, "jaxpr", one)
            if hasattr(one, "eqns"):
                yield one


def _matrix_product(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)


def _convolution(equation: Any) -> int:
    """Terms of padding and of holes are not counted: XLA skips them too."""
    given, numbers = equation.params, equation.params["dimension_numbers"]
    (image, kernel), found = (one.aval.shape for one in equation.invars), equation.outvars[0].aval.shape
    terms = kernel[numbers.rhs_spec[1]] * found[numbers.out_spec[0]] * found[numbers.out_spec[1]]
    for dimension in range(len(image) - 2):
        size, width, count = (
            shape[spec[2 + dimension]]
            for shape, spec in ((image, numbers.lhs_spec), (kernel, numbers.rhs_spec), (found, numbers.out_spec))
        )
        step, holes, spread, (before, _) = (
            given[name][dimension] for name in ("window_strides", "lhs_dilation", "rhs_dilation", "padding")
        )
        place = step * np.arange(count)[:, None] + spread * np.arange(width)[None] - before
        terms *= int(np.sum((place % holes == 0) & (place >= 0) & (place < holes * size)))
    return 2 * terms


COUNTED = {"dot_general": _matrix_product, "conv_general_dilated": _convolution}
