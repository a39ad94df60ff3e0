"""Activation functions by name. Tests: tests/layers/test_activation.py."""

import flax.linen as nn
import jax.numpy as jnp

REGISTRY = {
    "silu": nn.silu,
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "elu": nn.elu,
    "leaky_relu": nn.leaky_relu,
}
