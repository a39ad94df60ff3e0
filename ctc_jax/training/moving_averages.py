"""Parameters that are moving averages of something, kept out of the optimizer. Tests: test_moving_averages.py."""

from typing import Any

import jax
import optax

from ctc_jax.gradients.moving_average import COLLECTION
from ctc_jax.models import Params


def apart(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """`optimizer` for all parameters but moving averages, which take plain gradient steps of size 1.

    An estimator's c with decay d has the loss (1 - d) / 2 (c - target)^2, so that the step is c + (1 - d)(target - c):
    clipping, preconditioning, weight decay or a learning rate would make it another average. Where there are none, the
    state is that of `optimizer` itself.
    """
    parts = optax.partition({"optimizer": optimizer, COLLECTION: optax.sgd(1.0)}, _labels)

    def chosen(params: Params) -> optax.GradientTransformation:
        return parts if COLLECTION in jax.tree.leaves(_labels(params)) else optimizer

    def init(params: Params) -> optax.OptState:
        return chosen(params).init(params)

    def update(gradient: Params, state: optax.OptState, params: Params | None = None) -> tuple[Params, optax.OptState]:
        return chosen(gradient).update(gradient, state, params)

    return optax.GradientTransformation(init, update)


def without(tree: Params) -> list[Any]:
    """The leaves that are no moving averages."""
    labels = jax.tree.leaves(_labels(tree))
    return [leaf for leaf, label in zip(jax.tree.leaves(tree), labels, strict=True) if label != COLLECTION]


def _labels(tree: Params) -> Params:
    def label(path: tuple, leaf: Any) -> str:
        return COLLECTION if any(getattr(part, "key", None) == COLLECTION for part in path) else "optimizer"

    return jax.tree_util.tree_map_with_path(label, tree)
