import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions import MaskGroup
from ctc_jax.errors import ConfigError
from ctc_jax.likelihoods.ctc import CTC


def test_one_component_is_the_unimodal_logistic_with_the_same_parameters(make):
    features = jax.random.normal(jax.random.key(1), (2, 2, 2, 6))
    value = jax.random.randint(jax.random.key(2), (2, 2, 2, 3), 0, 256)
    mixture = make("ctc", channels=3, bits=8, components=1)
    plain = make("logistic", channels=3, bits=8)
    parameters = jax.jit(plain.init)(jax.random.key(0), features)
    # The mixture has one output more, the only mask's logit, between locations and log-scales.
    with_logit = jax.tree.map(lambda a: jnp.concatenate([a[:3], jnp.full_like(a[:1], 0.7), a[3:]]), parameters)
    of_mixture = jax.jit(lambda parameters: mixture.apply(parameters, features).log_prob(value))(with_logit)
    alone = jax.jit(lambda parameters: plain.apply(parameters, features).log_prob(value))(parameters)
    np.testing.assert_allclose(of_mixture, alone, rtol=1e-6)


def test_components_start_equally_likely_and_spread_over_the_range(make):
    likelihood = make("ctc", channels=2, bits=8, components=4, off=True)
    distribution, _ = jax.jit(likelihood.init_with_output)(jax.random.key(0), jnp.zeros((1, 1, 1, 3)))
    np.testing.assert_allclose(distribution.mask_probs, np.full((1, 1, 1, 5), 0.2), rtol=1e-6)
    expected = 255 * (np.arange(4) + 0.5) / 4
    np.testing.assert_allclose(distribution.loc[0, 0, 0], np.stack([expected, expected], -1), rtol=1e-5)
    np.testing.assert_allclose(np.exp(distribution.log_scale), 8, rtol=1e-5)


def test_the_logits_of_a_group_are_the_mean_over_its_positions(make):
    features = jax.random.normal(jax.random.key(1), (1, 4, 4, 6))
    pixel = make("ctc", channels=1, bits=8, components=3)
    patch = make("ctc", channels=1, bits=8, components=3, mask_group="patch:2")
    parameters = jax.jit(pixel.init)(jax.random.key(0), features)
    logits = np.asarray(jax.jit(pixel.apply)(parameters, features).logits)
    expected = logits.reshape(1, 2, 2, 2, 2, 3).mean((2, 4))
    np.testing.assert_allclose(jax.jit(patch.apply)(parameters, features).logits, expected, rtol=1e-5, atol=1e-6)


def test_slopes_between_channels_stay_in_the_open_unit_interval(make):
    likelihood = make("ctc", channels=4, bits=8, components=2, autoregressive=True)
    features = jax.random.normal(jax.random.key(1), (1, 1, 2, 6))
    parameters = jax.tree.map(lambda a: 20 * a, jax.jit(likelihood.init)(jax.random.key(0), features))
    coefficients = jax.jit(likelihood.apply)(parameters, features).coefficients
    assert coefficients.shape == (1, 1, 2, 2, 6)
    assert 0.1 < np.abs(coefficients).max() <= 1


@pytest.mark.parametrize(
    ("key", "found"),
    [("ctc.components", 0), ("ctc.mask_group", "patch:0"), ("ctc.family", "laplace"), ("scale", "none")],
)
def test_bad_values_name_their_key(make, key, found):
    with pytest.raises(ConfigError, match=rf"^config\.likelihood\.{key} is {found!r}; allowed"):
        make("ctc", **{key.removeprefix("ctc."): found})


def test_patches_that_do_not_tile_the_image_are_refused_by_their_key_and_by_the_module_itself(make):
    with pytest.raises(ConfigError, match=r"^config\.likelihood\.ctc\.mask_group is 'patch:3'.*images are 4x4"):
        make("ctc", mask_group="patch:3")
    with pytest.raises(ValueError, match="images are 4x4"):
        CTC(1, 8, mask_group=MaskGroup(3)).init(jax.random.key(0), jnp.zeros((1, 4, 4, 2)))
