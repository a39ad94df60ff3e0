"""Derivatives of every density where its formula changes its case, against differences from both sides."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions.kl import kl_divergence

from ctc_jax.distributions import (
    BernoulliTimesContinuous,
    CategoricalTimesContinuous,
    DiscretizedGaussian,
    DiscretizedLogistic,
    GroupedCTC,
    PixelBernoulli,
    PixelCategorical,
)
from ctc_jax.distributions.log_mixture import log_mixture
from ctc_jax.distributions.mask_kind import BERNOULLI, CATEGORICAL

TIES = jnp.zeros(3)


def first(values, x):
    return values.at[0].add(x)


def mixture(loc, level):
    """Two equal components of a pixel, of which one moves."""
    loc = jnp.zeros((1, 1, 1, 2, 1)).at[0, 0, 0, 0, 0].add(loc)
    distribution = GroupedCTC(jnp.zeros((1, 1, 1, 2)), loc, jnp.zeros_like(loc), bits=2)
    return distribution.log_prob(jnp.full((1, 1, 1, 1), level))[0]


def chosen(values):
    return CategoricalTimesContinuous(TIES, values).log_prob(jnp.eye(3)[0])


CASES = {
    "pixel_bernoulli at 0, black": (lambda x: PixelBernoulli(x).log_prob(0), [0.0]),
    "pixel_bernoulli at 0, white": (lambda x: PixelBernoulli(x).log_prob(1), [0.0]),
    "pixel_categorical at ties": (
        lambda x: PixelCategorical(first(TIES, x)[None, None, None]).log_prob(jnp.ones((1, 1, 1)))[0, 0, 0],
        [0.0],
    ),
    "log_mixture at ties": (lambda x: log_mixture(first(TIES, x)[:, None], first(TIES, 2 * x)[:, None])[0], [0.0]),
    "mixture at equal components": (lambda x: mixture(x, 0), [0.0]),
    "mixture at a level": (lambda x: mixture(x, 1), [0.5, 1.0]),
    "closed gate": (lambda x: BernoulliTimesContinuous(x, dist.Normal(0.0, 1.0)).log_prob(0.0), [0.0]),
    "open gate": (lambda x: BernoulliTimesContinuous(x, dist.Normal(0.0, 1.0)).log_prob(0.3), [0.0]),
    "entropy of a gate": (lambda x: BernoulliTimesContinuous(x, dist.Normal(0.0, 1.0)).entropy(), [0.0]),
    "kl of gates": (
        lambda x: kl_divergence(*(BernoulliTimesContinuous(x * by, dist.Normal(0.0, 1.0)) for by in (1.0, -2.0))),
        [0.0],
    ),
    "masks of a closed gate": (lambda x: BERNOULLI.log_prob(x, jnp.float32(0.0)), [0.0]),
    "masks of an open gate": (lambda x: BERNOULLI.log_prob(x, jnp.float32(1.0)), [0.0]),
    "one-hot masks at ties": (lambda x: CATEGORICAL.log_prob(first(TIES, x), jnp.eye(3)[0]), [0.0]),
    "choice at ties": (
        lambda x: CategoricalTimesContinuous(first(TIES, x), dist.Normal(TIES, 1.0)).log_prob(jnp.eye(3)[0]),
        [0.0],
    ),
    **{
        f"{family.__name__} at its location": (
            lambda x, family=family: CategoricalTimesContinuous(TIES, family(first(TIES, x), 1.0)).log_prob(
                jnp.eye(3)[0]
            ),
            [1.0],
        )
        for family in (dist.Normal, dist.Logistic, dist.Cauchy, dist.Gumbel)
    },
    **{
        f"{family.__name__} at level {level}": (
            lambda x, family=family, level=level: family(x, 0.1, bits=2).log_prob(level),
            [level - 0.5, float(level), level + 0.5],
        )
        for family in (DiscretizedGaussian, DiscretizedLogistic)
        for level in (0, 1, 3)
    },
}


@pytest.mark.parametrize("name", CASES)
def test_the_derivative_is_the_mean_of_those_from_both_sides(name):
    density, points = CASES[name]
    step, points = 2.0**-6, jnp.asarray(points)
    at = jax.jit(jax.vmap(jax.value_and_grad(density)))
    (behind, _), (_, found), (ahead, _) = (at(points + offset) for offset in (-step, 0.0, step))
    # Values near 1 nat are rounded by 1e-7 and divided by the step; the differences are off by its square.
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=1e-3, atol=5e-4)
