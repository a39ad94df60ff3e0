import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ctc_jax.posteriors.leapfrog import force_of
from ctc_jax.posteriors.leapfrog import leapfrog as step_of


def log_density(latent):
    """Curved and correlated."""
    return -0.5 * jnp.sum(latent**2, axis=-1) - jnp.sin(latent[:, 0] * latent[:, 1]) - 0.1 * latent[:, 1] ** 4


def points(seed):
    return jax.random.normal(jax.random.key(seed), (5, 2))


def leapfrog(log_density, latent, momentum, step):
    """One step from a force that it computes; the force it ends with is that at its end."""
    force_at = force_of(log_density)
    latent, momentum, force = step_of(force_at, latent, momentum, force_at(latent), step)
    np.testing.assert_allclose(force, force_at(latent), rtol=1e-6)
    return latent, momentum


STEP = jnp.array([[0.3, 0.2]])


def test_with_the_momentum_turned_round_it_goes_back():
    latent, momentum = leapfrog(log_density, points(0), points(1), STEP)
    assert np.abs(latent - points(0)).min() > 1e-3
    back, momentum = leapfrog(log_density, latent, -momentum, STEP)
    np.testing.assert_allclose(back, points(0), atol=1e-6)
    np.testing.assert_allclose(-momentum, points(1), atol=1e-6)


def test_it_preserves_volume():
    def moved(flat):
        force_at = force_of(log_density)
        latent, momentum = flat[None, :2], flat[None, 2:]
        return jnp.stack(step_of(force_at, latent, momentum, force_at(latent), STEP)[:2]).reshape(-1)

    flat, _ = ravel_pytree((points(0)[0], points(1)[0]))
    np.testing.assert_allclose(np.linalg.det(jax.jacfwd(moved)(flat)), 1.0, rtol=1e-5)


def test_the_energy_drifts_with_the_square_of_the_step():
    def energy(latent, momentum):
        return 0.5 * jnp.sum(momentum**2, axis=-1) - log_density(latent)

    def drift(size):
        latent, momentum = points(0), points(1)
        for _ in range(round(1 / size)):
            latent, momentum = leapfrog(log_density, latent, momentum, jnp.full((1, 1), size))
        return np.abs(energy(latent, momentum) - energy(points(0), points(1))).max()

    assert 3.0 < drift(0.1) / drift(0.05) < 5.0


def test_one_step_is_velocity_verlet_of_a_harmonic_force():
    step = jnp.full((1, 1), 0.3)
    latent, momentum = leapfrog(lambda z: -0.5 * jnp.sum(z**2, axis=-1), jnp.ones((1, 1)), jnp.zeros((1, 1)), step)
    np.testing.assert_allclose(latent[0, 0], 1 - 0.3**2 / 2, rtol=1e-6)
    np.testing.assert_allclose(momentum[0, 0], -0.3 * (1 + 1 - 0.3**2 / 2) / 2, rtol=1e-6)
