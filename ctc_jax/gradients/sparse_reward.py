"""A reward that shows how it depends on a mask. Tests: tests/gradients/test_sparse_reward.py."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float


class SparseReward(NamedTuple):
    """r(m) = rest((m * values) @ weights): the masked values meet a linear layer first, as in any decoder.

    A single mask that changes moves `hidden` by rows of `weights`, which estimators made for this use.

    Attributes:
      values: what a mask multiplies, of the shape of the masks, `[batch, *dimensions(, categories)]`; ones for
        a latent that is a mask alone.
      weights: of the linear layer, a row for each number of an example's masks, `[inputs, hidden]`.
      rest: what follows, its bias included: `[batch, hidden]` to `[batch]`.
    """

    values: Float[Array, "batch *masks"]
    weights: Float[Array, "inputs hidden"]
    rest: Callable[[Float[Array, "batch hidden"]], Float[Array, " batch"]]

    def hidden(self, masks: Float[Array, "batch *masks"]) -> Float[Array, "batch hidden"]:
        """What the linear layer gives, without its bias."""
        return (masks * self.values).reshape(len(masks), -1) @ self.weights

    def __call__(self, masks: Float[Array, "batch *masks"]) -> Float[Array, " batch"]:
        """The reward of masks."""
        return self.rest(self.hidden(masks))
