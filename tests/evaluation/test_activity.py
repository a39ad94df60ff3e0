import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.data import Split
from ctc_jax.evaluation.activity import active_units
from ctc_jax.models import Masked, Site, Trace
from tests import toys


class Linear(toys.Silent):
    """Posterior means of one latent are the image's value times each of `params`, of the other constant."""

    latents = ("high", "low")

    def infer(self, params, key, batch, *, schedule=None):
        assert key is None
        value = batch.image[:, 0, 0, 0].astype(jnp.float32)
        means = {"low": value[:, None] * params[None], "high": jnp.full((len(value), 2), 3.0)}
        sites = {name: Site(Masked(mean), None, None, value, value) for name, mean in means.items()}
        return Trace({}, sites, None, value)


@pytest.mark.parametrize("batch_size", [1, 2, 4, 7])
def test_units_whose_mean_varies_by_more_than_a_hundredth_are_counted(batch_size):
    # Values 0, 2, 4, 6, 8 have variance 8; a slope of a gives a mean of variance 8 a^2. Padding must not count.
    images = np.asarray([0, 2, 4, 6, 8], np.uint8).reshape(5, 1, 1, 1)
    variances = np.array([1.0, 0.0101, 0.0099, 0.0])
    slopes = jnp.asarray(np.sqrt(variances / 8), jnp.float32)
    found = active_units(Linear(), slopes, Split(images, np.zeros(5, np.int32)), batch_size=batch_size)
    assert found == {"active_units/low": 2.0, "active_units/high": 0.0}


def test_a_common_shift_does_not_hide_or_make_activity():
    images = np.asarray([200, 201, 200, 201], np.uint8).reshape(4, 1, 1, 1)
    found = active_units(Linear(), jnp.asarray([0.21, 0.19]), Split(images, np.zeros(4, np.int32)), batch_size=4)
    # Variance a^2 / 4: .011 and .009.
    assert found["active_units/low"] == 1.0
