import pytest

from ctc_jax.distributions.mask_kind import BERNOULLI, CATEGORICAL
from ctc_jax.distributions.mask_site import MaskSite


@pytest.mark.parametrize(
    ("kind", "shape", "dimensions", "categories"),
    [(BERNOULLI, (6,), 6, 2), (CATEGORICAL, (3, 5), 3, 5)],
)
def test_a_site_counts_its_masks_and_their_alternatives(kind, shape, dimensions, categories):
    site = MaskSite("z", kind, shape, valued=True)
    assert (site.dimensions, site.categories) == (dimensions, categories)
