"""Score-function gradients with a relaxed control variate: REBAR and RELAX. Tests: test_relaxed_control.py,
test_unbiased.py."""

import abc
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients import small_network
from ctc_jax.gradients.estimator import BOTH, Context, Nested
from ctc_jax.gradients.perturbed_logits import perturb, perturb_given
from ctc_jax.gradients.surrogate import Estimate, Reward, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class RelaxedControl(Nested):
    """(r(m) - c(z')) grad log q(m) + grad c(z) - grad c(z'), where c is made of the reward of a relaxed mask.

    z perturbs the logits and m is its mode, z' is another draw given that mode. What the reward closes over has the
    gradient of r(m) alone. Parameters of c fall along the gradient of an example's squared gradient in the logits.

    It is unbiased where the reward is continuous in relaxed masks. Where it jumps, as behind a threshold or an argmax,
    the mean of grad c(z) lacks what the jumps contribute, and the estimate is biased by that.
    """

    temperature: float = option(1.0, "of the relaxed masks at first; it is learned", above=0.0)

    unbiased, kinds = True, BOTH
    samples = 3  # a mask and two relaxed ones
    condition = "the reward is continuous in relaxed masks"

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """Parameters of c."""

    def init_control(self) -> dict:
        """The temperature as a logarithm, and eta, 1 at first."""
        return {"log_temperature": jnp.asarray(math.log(self.temperature), jnp.float32), "eta": jnp.ones(())}

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: Reward,
        *,
        kind: MaskKind,
        params: dict,
        context: Context,
        **_: Any,
    ) -> Estimate:
        """The rewards of a mask and of two relaxed ones."""
        free_key, given_key = jax.random.split(key)
        fixed = jax.lax.stop_gradient(logits)
        mask = kind.harden(perturb(free_key, fixed, kind=kind))
        value = reward(mask)
        # What the reward closes over, made explicit so that it can be fixed: only r(m) may move it.
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

            (of_free, pull_free), (of_given, pull_given) = jax.vjp(free, fixed), jax.vjp(given, fixed)
            signal = (jax.lax.stop_gradient(value) - of_given).reshape(-1, *(1,) * (logits.ndim - 1))
            ones = jnp.ones_like(of_free)
            return signal * (mask - kind.probs(fixed)) + pull_free(ones)[0] - pull_given(ones)[0]

        found = gradient(params)
        in_logits = total(jax.lax.stop_gradient(found) * logits)
        return Estimate(value, value + zero(in_logits - total(found**2)))


@dataclass(frozen=True)
class REBAR(RelaxedControl):
    """`RelaxedControl` with c(z) = eta r(relaxed z) (Tucker et al. 2017)."""

    learned = "temperature and weight of the control variate"

    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """Temperature and eta."""
        del key, logits_shape, context_size
        return self.init_control()


@dataclass(frozen=True)
class RELAX(RelaxedControl):
    """`REBAR` with a network added to c, of the relaxed mask and the input's features (Grathwohl et al. 2018)."""

    width: int = option(200, "hidden units of the network", at_least=1)

    learned = "temperature and weight of the control variate, and a network within it"

    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """Temperature, eta, and a network that gives 0 at first."""
        network = small_network.init(key, math.prod(logits_shape) + context_size, self.width, 1)
        return {**self.init_control(), "network": network}
