import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions.transforms import biject_to

from ctc_jax.distributions import BernoulliTimesContinuous, CategoricalTimesContinuous

GATED = BernoulliTimesContinuous(jnp.zeros(5), dist.Gamma(2.0, jnp.ones(5)))
VECTORS = jnp.array([[0.0, 2.0], [0.0, 0.0], [1.0, 2.0], [0.0, -2.0], [jnp.nan, 0.0], [3.0, 0.0]])


def test_a_gated_value_is_0_or_what_the_values_can_be():
    found = GATED.support(jnp.array([0.0, 1.0, -1.0, jnp.nan, 7.0]))
    np.testing.assert_array_equal(found, [True, True, False, False, True])


@pytest.mark.parametrize("off", [False, True])
def test_a_sparse_vector_has_one_entry_that_its_values_can_be(off):
    law = CategoricalTimesContinuous(jnp.zeros(2 + off), dist.Gamma(2.0, jnp.ones(2)), off=off)
    np.testing.assert_array_equal(law.support(VECTORS), [True, off, False, False, False, True])
    np.testing.assert_array_equal(law.to_event(0).expand((6,)).support(VECTORS), law.support(VECTORS))
    np.testing.assert_array_equal(jnp.isfinite(law.log_prob(VECTORS)), law.support(VECTORS))


@pytest.mark.parametrize("law", [GATED, CategoricalTimesContinuous(jnp.zeros(2), dist.Normal(jnp.zeros(2), 1.0))])
def test_no_bijection_from_real_numbers_is_found_and_no_enumeration(law):
    for wrapped in (law, law.expand((3, *law.batch_shape)), law.to_event(len(law.batch_shape))):
        assert wrapped.support.is_discrete
        assert not wrapped.has_enumerate_support
        assert not wrapped.has_rsample
        with pytest.raises(NotImplementedError):
            biject_to(wrapped.support)
