"""The two laws as latents of numpyro programs, against quadrature."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS, SVI, DiscreteHMCGibbs, Trace_ELBO, TraceGraph_ELBO
from scipy import integrate, stats
from scipy.special import expit

from ctc_jax.distributions import BernoulliTimesContinuous, CategoricalTimesContinuous

MATHEMATICS = Path(__file__).parents[2] / "docs" / "mathematics.md"
Y, LOGIT = 0.6, 0.3


def probability_of_0():
    """P(z = 0 | y) of a gate of logit .3 times Gamma(2, 1), seen through noise of .5."""
    density = lambda s: stats.gamma.pdf(s, 2.0) * stats.norm.pdf(Y, s, 0.5)  # noqa: E731
    is_open = expit(LOGIT) * integrate.quad(density, 0.0, 20.0)[0]
    closed = expit(-LOGIT) * stats.norm.pdf(Y, 0.0, 0.5)
    return closed / (closed + is_open)


def gated(y):
    z = numpyro.sample("z", BernoulliTimesContinuous(LOGIT, dist.Gamma(2.0, 1.0)))
    numpyro.sample("y", dist.Normal(z, 0.5), obs=y)


def chosen(y):
    z = numpyro.sample("z", CategoricalTimesContinuous(jnp.zeros(2), dist.Normal(jnp.zeros(2), 1.0)))
    numpyro.sample("y", dist.Normal(z.sum(), 0.5), obs=y)


def guide(y):
    numpyro.sample(
        "z", BernoulliTimesContinuous(numpyro.param("logit", 0.0), dist.Gamma(2.0, numpyro.param("rate", 1.0)))
    )


@pytest.mark.parametrize("program", [gated, chosen])
def test_samplers_of_continuous_latents_refuse_them(program):
    with pytest.raises(RuntimeError, match="does not have enumerate support"):
        MCMC(NUTS(program), num_warmup=1, num_samples=1, progress_bar=False).run(jax.random.key(0), Y)


def test_an_elbo_without_scores_warns_and_refuses_the_gradient_by_the_logits():
    svi = SVI(gated, guide, numpyro.optim.Adam(0.1), Trace_ELBO())
    with pytest.warns(UserWarning, match="discrete latent variables"):
        state = svi.init(jax.random.key(0), Y)
    with pytest.raises(NotImplementedError, match="no pathwise gradient"):
        svi.update(state, Y)


@pytest.mark.slow
def test_an_elbo_with_scores_has_the_exact_gradient():
    def elbo(logit, rate):
        """Exactly, by quadrature over the value."""
        value = jnp.linspace(1e-3, 30.0, 20_001)
        q = BernoulliTimesContinuous(logit, dist.Gamma(2.0, rate))
        p = BernoulliTimesContinuous(LOGIT, dist.Gamma(2.0, 1.0))
        terms = p.log_prob(value) + dist.Normal(value, 0.5).log_prob(Y) - q.log_prob(value)
        closed = p.log_prob(0.0) + dist.Normal(0.0, 0.5).log_prob(Y) - q.log_prob(0.0)
        return jnp.trapezoid(jnp.exp(q.log_prob(value)) * terms, value) + jnp.exp(q.log_prob(0.0)) * closed

    def loss(params, key):
        return TraceGraph_ELBO().loss(key, params, gated, guide, Y)

    params = {"logit": jnp.float32(0.5), "rate": jnp.float32(1.5)}
    keys = jax.random.split(jax.random.key(0), 2**14)
    draws = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(params, keys)
    exact = jax.grad(lambda params: -elbo(**params))(params)
    for name, gradients in draws.items():
        error = np.std(gradients) / np.sqrt(len(keys))
        assert abs(np.mean(gradients) - exact[name]) < 4 * error, name


def test_the_documented_program_has_the_exact_probability_of_0(capsys):
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", MATHEMATICS.read_text(), re.DOTALL) if "MCMC" in block
    ]
    told = float(re.search(r"by quadrature ([\d.]+)", code).group(1))
    assert abs(told - probability_of_0()) < 5e-4
    exec(compile(code, "mathematics.md", "exec"), {})
    # Of 2,000 correlated draws of a probability that varies by .35.
    assert abs(float(capsys.readouterr().out) - probability_of_0()) < 4.5 * 0.35 / np.sqrt(400)


@pytest.mark.slow
def test_masks_drawn_by_gibbs_steps_have_the_exact_probability_of_0():
    def program(y):
        law = BernoulliTimesContinuous(LOGIT, dist.Gamma(2.0, 1.0))
        gate = numpyro.sample("gate", dist.Bernoulli(logits=law.logits))
        value = numpyro.sample("value", law.values)
        numpyro.sample("y", dist.Normal(gate * value, 0.5), obs=y)

    chain = MCMC(DiscreteHMCGibbs(NUTS(program)), num_warmup=300, num_samples=4000, progress_bar=False)
    chain.run(jax.random.key(1), Y)
    assert abs(1.0 - np.mean(chain.get_samples()["gate"]) - probability_of_0()) < 4.5 * 0.5 / np.sqrt(400)
