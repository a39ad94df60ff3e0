"""Draws of a layer for many keys, and what their mean should be near."""

import jax
import numpy as np


def with_gradient(function, cotangent, x):
    """The value at `x`, and the gradient of the product with a cotangent."""

    def both(cotangent, x):
        value, pull = jax.vjp(function, x)
        return value, pull(cotangent)[0]

    return jax.jit(both)(cotangent, x)


def many(layer, params, features, count=2**14, seed=0, **options):
    """`count` draws, a leading axis; each from a key of its own."""
    keys = jax.random.split(jax.random.key(seed), count)
    return jax.jit(jax.vmap(lambda key: layer.apply(params, key, features, **options)))(keys)


def call(layer, params, *args, **options):
    """`layer.apply`, compiled as a whole."""
    return jax.jit(lambda params, *args: layer.apply(params, *args, **options))(params, *args)


def randomized(layer, features, seed=1, **options):
    """Parameters of the layer, every one away from its start."""
    shapes = jax.eval_shape(lambda: layer.init(jax.random.key(0), features, **options))
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda of: 0.5 * generator.normal(size=of.shape).astype(np.float32), shapes)


def assert_close_to_mean(draws, expected):
    """Within 4.5 standard errors of the mean of draws."""
    draws = np.asarray(draws, np.float64)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - expected), 4.5 * error + 1e-5)
