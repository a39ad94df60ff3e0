from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ctc_jax.distributions.registry import VALUE_FAMILIES
from ctc_jax.distributions.value_family import log_scale_limits
from tests.documented import documented

FAMILIES = {**VALUE_FAMILIES, "laplace": documented("LAPLACE =").LAPLACE}


@partial(jax.jit, static_argnums=(0, 4))
def log_mass(family, level, loc, log_scale, bits):
    return FAMILIES[family].log_mass(level, loc, log_scale, bits)


@partial(jax.jit, static_argnums=0)
def total_and_gradients(family, level, loc, log_scale):
    """The log mass at 8 bits, summed, and its derivatives by location and log-scale."""
    total = lambda loc, log_scale: log_mass(family, level, loc, log_scale, 8).sum()  # noqa: E731
    return jax.value_and_grad(total, argnums=(0, 1))(loc, log_scale)


def random_cases(bits=8, count=4000, seed=0):
    """Random levels and parameters, all four corner levels, means far outside, scales at both clamps."""
    random = np.random.default_rng(seed)
    last = 2**bits - 1
    low, high = log_scale_limits(bits)
    level = np.concatenate([random.integers(0, last + 1, count), np.repeat([0, 1, last - 1, last], count // 4)])
    loc = np.where(
        random.random(2 * count) < 0.5,
        level + random.normal(0, 3, 2 * count),
        random.uniform(-2 * last, 3 * last, 2 * count),
    )
    log_scale = random.uniform(low, high, 2 * count)
    # At the float32 numbers just inside the clamp, which is where the family's own clip ends.
    log_scale[::10], log_scale[5::10] = low + 1e-5, high - 1e-5
    return tuple(a.astype(np.float32) for a in (level, loc, log_scale))


@pytest.mark.parametrize("family", FAMILIES)
def test_log_mass_is_exact_at_random_and_extreme_parameters(family, exact_log_mass):
    level, loc, log_scale = random_cases()
    found = log_mass(family, *(jnp.asarray(a)[None] for a in (level, loc, log_scale)), 8)
    expected = exact_log_mass(family, level, loc, log_scale, 8)
    # float32 arguments of the exponentials carry a relative error of about 1e-6, squared for the Gaussian.
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=2e-5)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"laplace"}))  # differences would cross its kink
def test_gradients_are_those_of_the_exact_mass(family, exact_log_mass):
    level, loc, log_scale = random_cases(seed=1)
    log_scale = np.clip(log_scale, -3.4, 6.9)  # inside the clamp by more than the step of the difference
    arrays = (jnp.asarray(a)[None] for a in (level, loc, log_scale))
    _, (by_loc, by_log_scale) = total_and_gradients(family, *arrays)
    by_loc, by_log_scale = by_loc[0], by_log_scale[0]
    step = 1e-4
    loc, log_scale = loc.astype(np.float64), log_scale.astype(np.float64)

    def exact(loc, log_scale):
        return exact_log_mass(family, level, loc, log_scale, 8)

    width = step * np.exp(log_scale)
    expected_by_loc = (exact(loc + width, log_scale) - exact(loc - width, log_scale)) / (2 * width)
    expected_by_log_scale = (exact(loc, log_scale + step) - exact(loc, log_scale - step)) / (2 * step)
    # Relative to 1/scale, the size of the derivative by loc a scale away from the mean.
    np.testing.assert_allclose(by_loc * np.exp(log_scale), expected_by_loc * np.exp(log_scale), rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(by_log_scale, expected_by_log_scale, rtol=2e-5, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("log_scale", [-40.0, -3.6, 7.1, 40.0])
def test_gradients_end_at_the_clamp_and_are_finite(family, log_scale):
    level = jnp.asarray([0.0, 1.0, 254.0, 255.0, 127.0])[None]
    loc = jnp.asarray([-1e4, 1e4, 127.0, 0.0, 127.4])[None]
    value, (by_loc, by_log_scale) = total_and_gradients(family, level, loc, jnp.full_like(loc, log_scale))
    at_clamp = jnp.full_like(loc, np.clip(log_scale, *log_scale_limits(8)))
    clamped, _ = total_and_gradients(family, level, loc, at_clamp)
    assert np.isfinite(value)
    np.testing.assert_allclose(value, clamped, rtol=1e-6)
    assert np.all(np.isfinite(by_loc))
    np.testing.assert_array_equal(by_log_scale, 0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_masses_sum_to_one(family, bits):
    random = np.random.default_rng(2)
    last = 2**bits - 1
    loc = jnp.asarray(random.uniform(-last, 2 * last, 50), jnp.float32)
    log_scale = jnp.asarray(random.uniform(*log_scale_limits(bits), 50), jnp.float32)
    level = jnp.broadcast_to(jnp.arange(2.0**bits)[:, None], (2**bits, 50))[None]
    shape = level.shape
    found = log_mass(family, level, jnp.broadcast_to(loc, shape), jnp.broadcast_to(log_scale, shape), bits)
    np.testing.assert_allclose(np.exp(np.float64(found)).sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_log_mass_sums_over_the_leading_axis(family):
    level, loc, log_scale = (jnp.asarray(a).reshape(4, -1) for a in random_cases(count=40))
    apart = sum(log_mass(family, level[i : i + 1], loc[i : i + 1], log_scale[i : i + 1], 8) for i in range(4))
    np.testing.assert_allclose(log_mass(family, level, loc, log_scale, 8), apart, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bits", [1, 5])
def test_mean_and_mode_match_enumeration(family, bits, exact_log_mass):
    random = np.random.default_rng(3)
    last = 2**bits - 1
    loc = random.uniform(-0.5 * last, 1.5 * last, 60).astype(np.float32)
    log_scale = random.uniform(-3, np.log(2 * last), 60).astype(np.float32)
    levels = np.arange(2**bits)[:, None]
    mass = np.exp(exact_log_mass(family, levels, loc[None], log_scale[None], bits))
    found = FAMILIES[family]
    mean, mode = jax.jit(lambda *of: (found.mean(*of, bits), found.mode(*of, bits)))(loc, log_scale)
    np.testing.assert_allclose(mean, (mass * levels).sum(0), atol=1e-5 * last)
    # Ties within rounding may go either way: compare masses, not levels.
    np.testing.assert_allclose(mass[np.asarray(mode), np.arange(60)], mass.max(0), rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("loc", "scale"), [(2.3, 1.7), (-1.0, 2.0), (7.2, 0.3)])
def test_sample_frequencies_are_the_masses(family, loc, scale, exact_log_mass):
    count = 20_000
    shape = jnp.zeros(count)
    draws = FAMILIES[family].sample(jax.random.key(4), shape + loc, shape + np.log(scale), 3)
    mass = np.exp(exact_log_mass(family, np.arange(8), loc, np.log(scale), 3))
    seen = np.bincount(np.asarray(draws), minlength=8)
    likely = mass * count > 5
    assert seen[~likely].sum() <= 5 * (~likely).sum() + 10
    seen, expected = np.append(seen[likely], seen[~likely].sum()), np.append(mass[likely], mass[~likely].sum()) * count
    statistic = ((seen - expected) ** 2 / np.maximum(expected, 1)).sum()
    assert stats.chi2.sf(statistic, likely.sum() - 1 + (~likely).any()) > 1e-4
