"""The likelihood that docs/extending.md writes out, added as a reader would."""

import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.likelihoods import REGISTRY, SECTION
from tests.documented import documented


def test_the_documented_likelihood_is_a_file_and_a_line_of_the_registry(make, monkeypatch):
    monkeypatch.setitem(REGISTRY, "binomial", documented("class Binomial(").BinomialOptions)
    assert SECTION.defaults()["binomial"] == {"start": 0.5}
    likelihood, features = make("binomial", bits=2, start=0.3), jnp.zeros((1, 1, 1, 4))

    @jax.jit
    def masses(key):
        distribution, _ = likelihood.init_with_output(key, features)
        return jnp.exp(jax.vmap(distribution.log_prob)(jnp.arange(4).reshape(4, 1, 1, 1, 1)))

    expected = [0.7**3, 3 * 0.3 * 0.7**2, 3 * 0.3**2 * 0.7, 0.3**3]
    np.testing.assert_allclose(masses(jax.random.key(0))[:, 0], expected, rtol=1e-5)
