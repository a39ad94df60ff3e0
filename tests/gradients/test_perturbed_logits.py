import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ctc_jax.distributions.mask_kind import KINDS
from ctc_jax.gradients.perturbed_logits import perturb, perturb_given
from tests.gradients.conftest import gradient

SHAPES = {"bernoulli": (2, 2), "categorical": (2, 1, 3)}


def draws(name, function, count=2**13):
    kind, logits = KINDS[name], 1.5 * jax.random.normal(jax.random.key(0), SHAPES[name])
    return jax.jit(jax.vmap(lambda key: function(key, logits, kind)))(jax.random.split(jax.random.key(1), count))


@pytest.mark.parametrize("name", KINDS)
def test_its_mode_has_the_probability_of_the_mask(name):
    masks = np.asarray(draws(name, lambda key, logits, kind: kind.harden(perturb(key, logits, kind=kind))))
    probs = np.asarray(KINDS[name].probs(1.5 * jax.random.normal(jax.random.key(0), SHAPES[name])))
    np.testing.assert_array_less(abs(masks.mean(0) - probs), 4.5 * np.sqrt(probs * (1 - probs) / len(masks)))


@pytest.mark.parametrize("name", KINDS)
def test_given_its_mode_it_keeps_that_mode_and_has_its_distribution_back(name):
    def both(key, logits, kind):
        first, second = jax.random.split(key)
        free = perturb(first, logits, kind=kind)
        given = perturb_given(second, logits, kind.harden(free), kind=kind)
        return free, given, kind.harden(free) - kind.harden(given)

    free, given, difference = (np.asarray(of) for of in draws(name, both))
    np.testing.assert_array_equal(difference, 0.0)
    columns = [of.reshape(len(of), -1).T for of in (free, given)]
    assert min(stats.ks_2samp(a, b).pvalue for a, b in zip(*columns, strict=True)) > 1e-4
    if name == "categorical":  # and jointly: the gap between two of them
        gaps = [of[:, 0, 0, 0] - of[:, 0, 0, 1] for of in (free, given)]
        assert stats.ks_2samp(*gaps).pvalue > 1e-4


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_finite_at_logits_beyond_rounding(name):
    kind, logits = KINDS[name], 100.0 * jnp.array([[[-1.0, 0.0, 1.0]]])
    compute = gradient(lambda at, mask: perturb_given(jax.random.key(0), at, mask, kind=kind).sum())
    for mask in (jnp.array([[[1.0, 0.0, 0.0]]]), jnp.array([[[0.0, 0.0, 1.0]]])):
        assert np.isfinite(np.asarray(compute(logits, mask))).all()
