"""What a model states of each of its latents that has masks. Tests: tests/distributions/test_mask_site.py."""

import math
from dataclasses import dataclass

from ctc_jax.distributions.mask_kind import BERNOULLI, MaskKind


@dataclass(frozen=True)
class MaskSite:
    """A latent with masks, as estimators, evaluation and configs read it.

    Attributes:
      name: of the latent, a key of the trace's sites.
      kind: BERNOULLI for gates, CATEGORICAL for one-hot masks.
      shape: of one example's mask: `(masks,)` of gates, `(masks, categories)` of one-hot masks.
      valued: whether the masks multiply values; else they are the latent themselves.
      linear: whether a linear layer upon m * s comes next, so that a `SparseReward` can be given.
      coupled: whether the KL of another latent depends on the masks drawn here.
      grid: rows, columns and channels by which the masks lie on the image, rows first; () where they lie nowhere.
    """

    name: str
    kind: MaskKind
    shape: tuple[int, ...]
    valued: bool
    linear: bool = False
    coupled: bool = False
    grid: tuple[int, ...] = ()

    @property
    def dimensions(self) -> int:
        """How many masks there are."""
        return math.prod(self.shape if self.kind == BERNOULLI else self.shape[:-1])

    @property
    def categories(self) -> int:
        """Alternatives of one mask; 2 of a gate."""
        return 2 if self.kind == BERNOULLI else self.shape[-1]
