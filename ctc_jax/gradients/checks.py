"""Logits and masks refused in words before they enter a trace. Tests: tests/gradients/test_checks.py."""

import jax
import numpy as np

from ctc_jax.distributions.mask_kind import MaskKind


def check_logits(logits, name: str = "logits") -> None:
    """Refuses logits that are not finite; traced arrays pass, for their values are unknown.

    Raises:
      ValueError: NaN or an infinity, by the name given.
    """
    if isinstance(logits, jax.core.Tracer):
        return
    wrong = ~np.isfinite(logits)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}: {wrong.sum()} of {wrong.size} are NaN or infinite, first at {where}; allowed: finite ones"
        )


def check_masks(masks, *, kind: MaskKind, name: str = "masks") -> None:
    """Refuses what is no mask; traced arrays pass, for their values are unknown.

    Raises:
      ValueError: an entry other than 0 and 1, or a categorical mask that is not one-hot in its last axis.
    """
    if isinstance(masks, jax.core.Tracer):
        return
    masks = np.asarray(masks)
    wrong = (masks != 0) & (masks != 1)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name}: {masks[where]} at {where}; allowed: 0 and 1")
    if kind.name == "categorical" and (masks.sum(axis=-1) != 1).any():
        where = tuple(int(i) for i in np.argwhere(masks.sum(axis=-1) != 1)[0])
        count = int(masks.sum(axis=-1)[where])
        raise ValueError(f"{name}: {count} of {masks.shape[-1]} alternatives are on at {where}; allowed: exactly 1")
