"""Layers, compiled as a whole, with parameters that are nowhere special, and what a mean of draws should be near."""

import jax
import numpy as np


def with_gradient(function, cotangent, x):
    """The value at `x`, and the gradient of the product with a cotangent."""

    def both(cotangent, x):
        value, pull = jax.vjp(function, x)
        return value, pull(cotangent)[0]

    return jax.jit(both)(cotangent, x)


def call(module, params, *args, **options):
    """`module.apply`, compiled as a whole."""
    return jax.jit(lambda params, *args: module.apply(params, *args, **options))(params, *args)


def randomized(module, features, seed=1, **options):
    """Parameters of the module, every one away from its start."""
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), features, **options))
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda of: 0.5 * generator.normal(size=of.shape).astype(np.float32), shapes)


def assert_close_to_mean(draws, expected):
    """Within 4.5 standard errors of the mean of draws."""
    draws = np.asarray(draws, np.float64)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - expected), 4.5 * error + 1e-5)
