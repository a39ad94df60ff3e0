"""What the layers of masked values share. Tests: tests/layers/test_masked_layer.py."""

from collections.abc import Callable

import flax.linen as nn
from jaxtyping import Array, Float, Key

from ctc_jax.layers.mask_prior import standard_prior
from ctc_jax.layers.masked_draw import MaskedDraw, MaskedLaw, draw


class MaskedLayer(nn.Module):
    """Features to a distribution over masks and values, and a draw from it.

    An estimator that calls the rest of a model for several masks takes `distribution(...)`'s `.logits`, one draw of
    its `.values`, and `select`; one that carries a gradient in a mask is given to the call.

    Subclasses define `distribution` and `select`.
    """

    def distribution(self, features: Float[Array, "batch ..."]) -> MaskedLaw:
        """The distribution q of masks and values, from features."""
        raise NotImplementedError

    def select(self, mask: Float[Array, "batch ..."], values: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """What is passed on for a mask and for values of every alternative; differentiable in both."""
        raise NotImplementedError

    def __call__(
        self,
        key: Key[Array, ""],
        features: Float[Array, "batch ..."],
        *,
        prior: MaskedLaw | None = None,
        mask: Callable | None = None,
    ) -> MaskedDraw:
        """Draws masks and values.

        Args:
          key: for both.
          features: as `distribution` takes them.
          prior: what the KL is against, of the kind and batch shape of q; by default `standard_prior`.
          mask: `(key, logits, *, kind)` to a mask that carries a gradient, as a bound single-pass estimator's; by
            default a plain sample, which carries none.
        """
        return self.draw(key, self.distribution(features), prior=prior, mask=mask)

    def draw(
        self, key: Key[Array, ""], q: MaskedLaw, *, prior: MaskedLaw | None = None, mask: Callable | None = None
    ) -> MaskedDraw:
        """As a call, from a distribution in place of features; uses no parameters."""
        return draw(key, q, standard_prior(q) if prior is None else prior, self.select, mask=mask)
