import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from ctc_jax.distributions import continuous

FAMILIES = [
    dist.Normal(0.7, 1.3),
    dist.Laplace(-0.4, 0.5),
    dist.Logistic(1.0, 0.6),
    dist.StudentT(3.0, 0.3, 2.0),
    dist.Cauchy(0.2, 1.0),
    dist.Gumbel(0.5, 0.8),
    dist.LogNormal(0.1, 0.6),
    dist.HalfNormal(1.5),
    dist.Exponential(2.0),
    dist.Gamma(3.0, 2.0),
    dist.Gamma(0.7, 2.0),
]


@pytest.mark.parametrize("values", FAMILIES, ids=lambda values: type(values).__name__)
def test_mode_is_the_densest_point_of_a_grid(values):
    grid = jnp.linspace(1e-4 if values.support(jnp.float32(-1.0)).item() is False else -8.0, 8.0, 200_001)
    assert abs(grid[jnp.argmax(values.log_prob(grid))] - continuous.mode(values)) < 2e-3


def test_a_family_without_a_known_mode_is_named():
    with pytest.raises(NotImplementedError, match="mode of Beta; known: Cauchy"):
        continuous.mode(dist.Beta(2.0, 2.0))


def test_expanded_values_keep_their_facts():
    values = continuous.expand(dist.Normal(jnp.array([1.0, 2.0]), jnp.ones(2)), (3, 2))
    assert values.batch_shape == (3, 2)
    np.testing.assert_array_equal(continuous.mode(values), [[1.0, 2.0]] * 3)
    np.testing.assert_allclose(continuous.entropy(values), 0.5 * np.log(2 * np.pi * np.e), rtol=1e-6)


def test_draws_are_kept_from_0_and_from_infinity_on_their_side_within_the_support():
    limits = jnp.finfo(jnp.float32)
    draws = jnp.array([0.0, -0.0, 1e-40, -1e-40, jnp.inf, -jnp.inf, 3.0, jnp.nan])
    expected = [limits.tiny, -limits.tiny, limits.tiny, -limits.tiny, limits.max, -limits.max, 3.0, np.nan]
    np.testing.assert_array_equal(continuous.nonzero(dist.Normal(0.0, 1.0), draws), np.array(expected, np.float32))
    below = continuous.nonzero(dist.Uniform(-1.0, 0.0), jnp.zeros(2))
    np.testing.assert_array_equal(below, [-limits.tiny] * 2)
