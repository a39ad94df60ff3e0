import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats
from scipy.special import log_softmax

from ctc_jax.distributions import BernoulliTimesContinuous, CategoricalTimesContinuous
from ctc_jax.layers import MaskPrior, divergence, standard_prior
from tests.layers.conftest import randomized

LOC = jax.random.normal(jax.random.key(0), (5, 3, 4))


def law(kind, values):
    if kind == "bernoulli":
        return BernoulliTimesContinuous(LOC, values)
    off = kind == "off"
    return CategoricalTimesContinuous(jnp.ones((5, 3, 4 + off)), values, off=off)


@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "off"])
def test_the_standard_prior_has_equal_masks_and_standard_normal_values(kind):
    prior = standard_prior(law(kind, dist.Normal(LOC, 0.3)))
    np.testing.assert_allclose(prior.probs, {"bernoulli": 1 / 2, "categorical": 1 / 4, "off": 1 / 5}[kind], rtol=1e-6)
    np.testing.assert_allclose(prior.values.log_prob(LOC), stats.norm.logpdf(np.float64(LOC)), rtol=1e-5)


@pytest.mark.parametrize("kind", ["bernoulli", "off"])
@pytest.mark.parametrize("values", [dist.Delta(LOC), dist.Normal(LOC, jnp.ones_like(LOC))])
def test_a_learned_prior_starts_as_the_standard_one(kind, values):
    q = law(kind, values)
    learned, params = MaskPrior(learned=True).init_with_output(jax.random.key(1), q)
    jax.tree.map(np.testing.assert_array_equal, learned, standard_prior(q))
    assert set(params["params"]) == ({"logits"} if isinstance(values, dist.Delta) else {"logits", "loc", "log_scale"})
    assert params["params"]["logits"].shape == q.logits.shape[1:]
    fixed, params = MaskPrior().init_with_output(jax.random.key(1), q)
    jax.tree.map(np.testing.assert_array_equal, fixed, standard_prior(q))
    assert not params


def test_a_learned_prior_is_what_its_parameters_say():
    q = law("categorical", dist.Normal(LOC, 1.0))
    params = randomized(MaskPrior(learned=True), q)
    prior = MaskPrior(learned=True).apply(params, q)
    x = jnp.zeros((5, 3, 4)).at[..., 2].set(0.7)
    logits, loc, log_scale = (np.float64(params["params"][name]) for name in ("logits", "loc", "log_scale"))
    expected = log_softmax(logits, axis=-1)[:, 2] + stats.norm.logpdf(0.7, loc[:, 2], np.exp(log_scale[:, 2]))
    np.testing.assert_allclose(prior.log_prob(x), np.broadcast_to(expected, (5, 3)), rtol=1e-5)


def test_the_best_learned_prior_is_the_mean_mask():
    q = CategoricalTimesContinuous(LOC, dist.Delta(LOC))
    mean = jnp.mean(q.probs, axis=0)
    module = MaskPrior(learned=True)

    def kl(logits):
        return jnp.sum(divergence(q, module.apply({"params": {"logits": logits}}, q)))

    np.testing.assert_allclose(jax.grad(kl)(jnp.log(mean)), 0.0, atol=1e-5)
    assert abs(jax.grad(kl)(jnp.zeros_like(mean))).max() > 0.1
