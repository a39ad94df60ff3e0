"""Families of latents on feature maps by name. Tests: tests/models/test_ctc_hierarchy.py, test_top_down.py."""

from ctc_jax.errors import nearest
from ctc_jax.layers import LocalWinnerTakeAll, MaskedLayer, StochasticMaxPool, StochasticReLU, Unmasked
from ctc_jax.options import OptionError

FAMILIES = ("gaussian", "ctc_pool", "ctc_relu", "lwta", "none")


def families(names: str, count: int, order: str, *, channels: int, block: int) -> tuple[MaskedLayer | None, ...]:
    """What masks the units of each of `count` places; None is a place without a latent.

    Args:
      names: one name for all, or one for each with commas.
      count: of the places.
      order: in which they are named, in words.
      channels: units at each position.
      block: neighboring channels of which one wins (lwta).

    Raises:
      OptionError: an unknown name, names of another number, or a block that does not divide the channels.
    """
    named = names.replace(" ", "").split(",")
    if len(named) not in (1, count):
        raise OptionError("families", names, f"one name, or {count} with commas {order}")
    return tuple(_family(name, names, channels, block) for name in named) * (count if len(named) == 1 else 1)


def is_gaussian(family: MaskedLayer | None) -> bool:
    """Whether there is a latent, and nothing of it masked."""
    return family is not None and family.kind is None


def _family(name: str, names: str, channels: int, block: int) -> MaskedLayer | None:
    if name == "none":
        return None
    if name == "lwta":
        if channels % block:
            raise OptionError("block", block, f"a divisor of channels, {channels}")
        return LocalWinnerTakeAll(block)
    layers = {"gaussian": Unmasked, "ctc_pool": StochasticMaxPool, "ctc_relu": StochasticReLU}
    if name not in layers:
        raise OptionError("families", names, ", ".join(FAMILIES) + nearest(name, FAMILIES))
    return layers[name]()
