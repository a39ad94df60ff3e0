import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions.kl import kl_divergence

from ctc_jax.distributions import BERNOULLI, CATEGORICAL
from ctc_jax.layers import Units
from ctc_jax.layers.units import CERTAIN

LOC = jax.random.normal(jax.random.key(3), (2, 5, 4))


def units_of(seed, logits=None):
    random = np.random.default_rng(seed)
    loc, log_scale, free = random.normal(size=(3, 2, 5)).astype(np.float32)
    return Units(free if logits is None else logits(loc), loc, np.exp(log_scale))


@pytest.mark.parametrize("kind", [BERNOULLI, CATEGORICAL], ids=lambda kind: kind.name)
def test_hard_masks_are_certain_in_probability_and_logarithm(kind):
    q = Units(LOC, LOC, None, hard=True).distribution(kind)
    certain = LOC > 0 if kind is BERNOULLI else np.eye(4)[np.asarray(LOC).argmax(-1)]
    np.testing.assert_array_equal(kind.probs(q.logits), certain)
    mask = q.sample(jax.random.key(0)).mask
    np.testing.assert_array_equal(mask, certain)
    np.testing.assert_array_equal(q.mask_log_prob(mask), 0.0)
    np.testing.assert_array_equal(q.kl(q), 0.0)
    assert np.isfinite(q.mask_log_prob(1.0 - mask)).all()  # CERTAIN nats a mask, not infinity: 0 times it is 0
    assert float(jnp.exp(-CERTAIN)) == 0.0


def test_without_a_mask_values_are_the_units():
    units = units_of(0)
    q = units.distribution(None)
    assert q.kind is None
    assert q.logits is None
    np.testing.assert_array_equal(q.center.product, units.loc)
    np.testing.assert_array_equal(Units(None, LOC, None).distribution(None).center.product, LOC)


def test_the_units_of_a_distribution_are_those_it_was_made_of():
    units = units_of(0)
    for kind in (BERNOULLI, CATEGORICAL):
        jax.tree.map(np.testing.assert_array_equal, Units.of(units.distribution(kind)), units)


def test_rearranged_units_are_rearranged_alike():
    units = units_of(0)
    turned = units.arranged(lambda of: of.T)
    for before, after in zip(units[:3], turned[:3], strict=True):
        np.testing.assert_array_equal(after, before.T)
    assert Units(None, LOC, None).arranged(lambda of: of[0])[::2] == (None, None)


def test_the_kl_of_changed_values_is_that_of_the_change_to_a_standard_normal_however_narrow_they_were():
    units, change = units_of(0), units_of(1)
    narrow = units._replace(scale=1e-3 * units.scale)
    expected = 0.5 * (change.loc**2 + change.scale**2 - 1.0) - np.log(change.scale)
    for before in (units, narrow):
        changed = before.changed(change, tied=False)
        q, p = (of.distribution(None).values for of in (changed, before))
        np.testing.assert_allclose(kl_divergence(q, p), expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(changed.logits, before.logits + change.logits)


def test_tied_logits_are_still_beta_times_the_location_after_a_change():
    units, change = (units_of(seed, lambda loc: 2.5 * loc) for seed in (0, 1))
    changed = units.changed(change, tied=True)
    assert np.abs(changed.loc - units.loc).max() > 0.1
    np.testing.assert_allclose(changed.logits, 2.5 * changed.loc, rtol=1e-5, atol=1e-6)


def test_combined_values_have_the_product_of_both_densities_and_logits_add():
    first, second = units_of(0), units_of(1)
    both = first.combined(second)
    np.testing.assert_allclose(both.logits, first.logits + second.logits)
    at = [np.full((2, 5), value, np.float32) for value in np.linspace(-2.0, 2.0, 7)]
    one, other, product = (
        np.stack([of.distribution(None).values.log_prob(value) for value in at]) for of in (first, second, both)
    )
    excess = one + other - product
    np.testing.assert_allclose(excess, np.broadcast_to(excess[:1], excess.shape), rtol=1e-3, atol=1e-2)
    assert first._replace(logits=None).combined(second).logits is None
