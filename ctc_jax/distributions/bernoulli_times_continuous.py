"""A binary gate times a continuous value: a hurdle distribution. Tests: test_bernoulli_times_continuous.py."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key, Num
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.kl import kl_divergence

from ctc_jax.distributions import continuous
from ctc_jax.distributions.mask_gradient import refuse_pathwise
from ctc_jax.distributions.mask_kind import BERNOULLI
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.distributions.sparse_support import GatedSupport


class BernoulliTimesContinuous(Distribution):
    """x = m * s elementwise: 0 with probability 1 - pi, else s; the distribution of a stochastic ReLU.

    Reference measure: a point mass at 0 and Lebesgue elsewhere. `log p(0) = log(1 - pi)`, else
    `log p(x) = log pi + log f(x)`: a value behind a closed gate integrates out and is never scored. An open gate's
    value is 0 with probability 0, and draws that underflow are kept from it (`continuous.nonzero`).

    To numpyro the support is discrete, since no transformation of the line reaches the mass at 0: NUTS and `Trace_ELBO`
    refuse it as a latent, `TraceGraph_ELBO` is right. Sample the value there, and sum over the gate or enumerate it
    (docs/mathematics.md).

    Args:
      logits: of an open gate, nats, `[*batch]`.
      values: continuous numpyro distribution of batch shape `[*batch]` and event shape ().

    Raises:
      ValueError: values that are discrete or have an event shape.
    """

    arg_constraints: ClassVar[dict] = {"logits": constraints.real}
    pytree_data_fields = ("logits", "values")

    def __init__(self, logits: Num[ArrayLike, "*batch"], values: Distribution, *, validate_args: bool | None = None):
        continuous.check_values(values, type(self).__name__)
        logits = continuous.as_float(logits)
        batch_shape = jnp.broadcast_shapes(jnp.shape(logits), values.batch_shape)
        self.logits, self.values = jnp.broadcast_to(logits, batch_shape), continuous.expand(values, batch_shape)
        super().__init__(batch_shape, (), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> constraints.Constraint:
        """0, and the support of the values."""
        return GatedSupport(self.values.support)

    @property
    def probs(self) -> Float[Array, "*batch"]:
        """Probability of an open gate."""
        return jax.nn.sigmoid(self.logits)

    def sample(self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
        """Gradients flow to the values alone."""
        return self.sample_with_intermediates(key, sample_shape)[0]

    def sample_with_intermediates(
        self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()
    ) -> tuple[Float[Array, "*shape"], list[Array]]:
        """As `sample`; beside it the gates, 0 or 1."""
        gate_key, value_key = jax.random.split(key)
        value = continuous.nonzero(self.values, continuous.sample(self.values, value_key, sample_shape))
        gate = jax.random.uniform(gate_key, value.shape) < jnp.broadcast_to(self.probs, value.shape)
        return jnp.where(gate, value, 0.0), [gate.astype(value.dtype)]

    def log_prob(self, value: Num[ArrayLike, "..."], intermediates: list | None = None) -> Float[Array, "..."]:
        """Nats, in the mixed measure of the class; nan at nan.

        Raises:
          NotImplementedError: with intermediates, a derivative by the logits is taken (`refuse_pathwise`).
        """
        value = continuous.as_float(value)
        value = jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, self.batch_shape))
        logits = refuse_pathwise(self.logits) if intermediates else self.logits
        logits = jnp.broadcast_to(logits, value.shape)
        is_open = value != 0
        density = jax.nn.log_sigmoid(logits) + continuous.log_density(self.values, value, is_open)
        return jnp.where(is_open, density, jax.nn.log_sigmoid(-logits))

    @property
    def mean(self) -> Float[Array, "*batch"]:
        """pi mu."""
        return self.masked.center.product

    @property
    def variance(self) -> Float[Array, "*batch"]:
        """pi (sigma^2 + mu^2) - pi^2 mu^2."""
        mean = self.values.mean
        second = self.probs * (self.values.variance + mean**2)
        return second - (self.probs * mean) ** 2

    @property
    def mode(self) -> Float[Array, "*batch"]:
        """0 where the gate is more likely closed, else the value's mode: a mass and a density are not compared.

        Raises:
          NotImplementedError: `continuous.MODES` does not list the values' family.
        """
        return jnp.where(self.logits > 0, continuous.nonzero(self.values, continuous.mode(self.values)), 0.0)

    def entropy(self) -> Float[Array, "*batch"]:
        """H(m) + pi H(s), nats, in the mixed measure; an upper bound where `entropy_is_exact` is false."""
        of_gate = jax.nn.softplus(self.logits) - self.probs * self.logits
        return of_gate + self.probs * continuous.entropy(self.values)

    @property
    def masked(self) -> MaskedDistribution:
        """The distribution of gate and value, before their product."""
        return MaskedDistribution(BERNOULLI, self.logits, self.values)

    @property
    def entropy_is_exact(self) -> bool:
        """Whether numpyro has the entropy of the values' family."""
        return continuous.has_entropy(self.values)


@kl_divergence.register(BernoulliTimesContinuous, BernoulliTimesContinuous)
def _kl(p: BernoulliTimesContinuous, q: BernoulliTimesContinuous) -> Float[Array, "*batch"]:
    """KL(p_m || q_m) + pi KL(p_s || q_s), exact."""
    return p.masked.kl_of_each(q.masked)
