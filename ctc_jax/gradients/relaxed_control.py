"""Score-function gradients with a relaxed control variate: REBAR and RELAX. Tests: test_relaxed_control.py,
test_unbiased.py."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients import small_network
from ctc_jax.gradients.perturbed_logits import perturb, perturb_given
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


def init_rebar(key, logits_shape: tuple[int, ...], context_size: int, *, temperature: float = 1.0) -> dict:
    """Parameters of `rebar`: its temperature as a logarithm, and eta, 1 at first."""
    del key, logits_shape, context_size
    return {"log_temperature": jnp.asarray(math.log(temperature), jnp.float32), "eta": jnp.ones(())}


def init_relax(
    key, logits_shape: tuple[int, ...], context_size: int, *, temperature: float = 1.0, width: int = 200
) -> dict:
    """Parameters of `relax`: those of `rebar`, and a network that gives 0 at first."""
    rebar_part = init_rebar(key, logits_shape, context_size, temperature=temperature)
    return {**rebar_part, "network": small_network.init(key, math.prod(logits_shape) + context_size, width, 1)}


def rebar(key, logits, reward: Reward, *, kind: MaskKind, params: dict, context=None) -> Estimate:
    """(r(m) - c(z')) grad log q(m) + grad c(z) - grad c(z') with c(z) = eta r(relaxed z) (Tucker et al. 2017).

    z perturbs the logits and m is its mode, z' is another draw given that mode. Temperature and eta fall along the
    gradient of an example's squared gradient in the logits. What the reward closes over has the gradient of r(m) alone.
    """
    return relax(key, logits, reward, kind=kind, params=params, context=context)


def relax(
    key,
    logits,
    reward: Reward,
    *,
    kind: MaskKind,
    params: dict,
    context: Float[Array, "batch inputs"] | None = None,
) -> Estimate:
    """`rebar` with a network added to c, of the relaxed mask and the input's features (Grathwohl et al. 2018).

    Args:
      key: of both draws.
      logits: mask logits.
      reward: defined for relaxed masks too.
      kind: of the masks.
      params: of `init_relax`; without "network" this is `rebar`.
      context: features of the input, held.
    """
    free_key, given_key = jax.random.split(key)
    held = jax.lax.stop_gradient(logits)
    mask = kind.harden(perturb(free_key, held, kind=kind))
    value = reward(mask)
    # What the reward closes over, made explicit so that it can be held: only r(m) may move it.
    converted, closed_over = jax.closure_convert(lambda masks: reward(masks), mask)
    closed_over = jax.lax.stop_gradient(closed_over)

    def control(params, perturbed):
        relaxed = kind.soften(perturbed / jnp.exp(params["log_temperature"]))
        control_value = params["eta"] * converted(relaxed, *closed_over)
        if "network" in params:
            features = 2.0 * relaxed.reshape(len(relaxed), -1) - 1.0
            if context is not None:
                features = jnp.concatenate([features, jax.lax.stop_gradient(context)], axis=-1)
            control_value += small_network.apply(params["network"], features)[:, 0]
        return control_value

    def gradient(params):
        def free(logits):
            return control(params, perturb(free_key, logits, kind=kind))

        def given(logits):
            return control(params, perturb_given(given_key, logits, mask, kind=kind))

        (of_free, pull_free), (of_given, pull_given) = jax.vjp(free, held), jax.vjp(given, held)
        signal = (jax.lax.stop_gradient(value) - of_given).reshape(-1, *(1,) * (logits.ndim - 1))
        ones = jnp.ones_like(of_free)
        return signal * (mask - kind.probs(held)) + pull_free(ones)[0] - pull_given(ones)[0]

    found = gradient(params)
    in_logits = total(jax.lax.stop_gradient(found) * logits)
    return Estimate(value, value + zero(in_logits - total(found**2)))
