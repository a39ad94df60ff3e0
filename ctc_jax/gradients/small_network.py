"""A network of one hidden layer, for what estimators learn. Tests: tests/gradients/test_small_network.py."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def init(key: Key[Array, ""], inputs: int, width: int, outputs: int) -> dict:
    """Parameters of a network that gives 0 at first: its output layer is 0."""
    kernel = jax.random.normal(key, (inputs, width)) / max(1, inputs) ** 0.5
    hidden = {"kernel": kernel, "bias": jnp.zeros(width)}
    return {"hidden": hidden, "out": {"kernel": jnp.zeros((width, outputs)), "bias": jnp.zeros(outputs)}}


def apply(params: dict, features: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
    """tanh units, then linear ones."""
    hidden = jnp.tanh(features @ params["hidden"]["kernel"] + params["hidden"]["bias"][None])
    return hidden @ params["out"]["kernel"] + params["out"]["bias"][None]


def of_input(params: dict, context: Float[Array, "batch inputs"] | None, batch: int) -> Float[Array, "batch outputs"]:
    """The outputs for an example's features, which no gradient reaches; None are no features."""
    features = jnp.zeros((batch, 0)) if context is None else jax.lax.stop_gradient(context)
    return apply(params, features)
