import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import objectives
from ctc_jax.data import Batch
from ctc_jax.errors import ConfigError
from ctc_jax.models import Bound, Masked
from ctc_jax.objectives import Elbo
from tests import toys
from tests.documented import documented


class TwoLayers(toys.Silent):
    """Says what its parameters are: the log-likelihood and the KL of two layers, for each of two images.

    Its annealed log-likelihood is the log-likelihood over the inverse temperature.
    """

    def bound(self, params, key, batch, *, schedule):
        annealed = 1.0 if schedule.likelihood is None else schedule.likelihood
        return Bound(params["log_likelihood"] / annealed, {"low": params["low"], "high": params["high"]})


@pytest.fixture
def values():
    """Batch means: log-likelihood -7, KL .5 and 4."""
    pairs = {"log_likelihood": [-5.0, -9.0], "low": [0.25, 0.75], "high": [3.0, 5.0]}
    return {name: jnp.asarray(pair) for name, pair in pairs.items()}


def evaluate(objective, values, step=0):
    """Loss, metrics and the gradient of the loss with respect to each of the values."""

    def loss(values):
        return objective(TwoLayers(), values, jax.random.key(0), BATCH, jnp.asarray(step, jnp.int32))

    (value, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(values)
    return float(value), {name: float(metric) for name, metric in metrics.items()}, gradient


def section(name="elbo", **changes):
    return {**objectives.SECTION.defaults(), "name": name, "elbo": changes}


BATCH = Batch(np.zeros((2, 1, 1, 1), np.uint8), np.zeros(2, np.int32))
METRICS = {"kl_nats/low": 0.5, "kl_nats/high": 4.0, "log_likelihood_nats": -7.0, "elbo_nats": -11.5}


@pytest.mark.parametrize("step", [0, 10])
def test_loss_is_minus_the_bound_and_metrics_are_its_parts(values, step):
    loss, metrics, gradient = evaluate(Elbo(), values, step)
    assert loss == 11.5
    assert metrics == {**METRICS, "loss_nats": 11.5}
    np.testing.assert_array_equal(gradient["log_likelihood"], [-0.5, -0.5])
    np.testing.assert_array_equal(gradient["low"], [0.5, 0.5])


@pytest.mark.parametrize(("step", "weight"), [(0, 0.0), (1, 0.25), (3, 0.75), (4, 1.0), (1000, 1.0)])
def test_warmup_weighs_the_kl_in_the_loss_and_leaves_the_metrics(values, step, weight):
    loss, metrics, gradient = evaluate(Elbo(kl_warmup_steps=4), values, step)
    assert loss == 7.0 + 4.5 * weight
    assert metrics == {**METRICS, "loss_nats": loss}
    np.testing.assert_allclose(gradient["high"], [weight / 2, weight / 2])


def test_free_nats_hold_each_layer_by_itself_and_leave_the_metrics(values):
    loss, metrics, gradient = evaluate(Elbo(free_nats=1.0), values)
    assert loss == 7.0 + 1.0 + 4.0
    assert metrics == {**METRICS, "loss_nats": loss}
    np.testing.assert_array_equal(gradient["low"], [0.0, 0.0])
    np.testing.assert_array_equal(gradient["high"], [0.5, 0.5])


def test_an_estimate_of_a_kl_below_zero_counts_as_it_is(values):
    """A sampled KL may be negative: held at 0, the loss would not be the bound's."""
    loss, metrics, gradient = evaluate(Elbo(), {**values, "low": -values["low"]})
    assert loss == 7.0 - 0.5 + 4.0
    assert metrics["elbo_nats"] == -loss
    np.testing.assert_array_equal(gradient["low"], [0.5, 0.5])


@pytest.mark.parametrize(("step", "weight"), [(0, 0.0), (1, 0.25), (9, 1.0)])
def test_a_model_is_told_what_its_kl_costs(values, monkeypatch, step, weight):
    seen = []

    def spy(self, params, key, batch, *, schedule):
        seen.append((float(schedule.kl_weight), int(schedule.step)))
        return Bound(params["log_likelihood"], {})

    monkeypatch.setattr(TwoLayers, "bound", spy)
    Elbo(kl_warmup_steps=4)(TwoLayers(), values, jax.random.key(0), BATCH, jnp.asarray(step, jnp.int32))
    assert seen == [(weight, step)]


def test_warmup_and_free_nats_together(values):
    loss, metrics, _ = evaluate(Elbo(kl_warmup_steps=2, free_nats=5.0), values, step=1)
    assert loss == 7.0 + 0.5 * (5.0 + 5.0)
    assert metrics == {**METRICS, "loss_nats": loss}


@pytest.mark.parametrize(("step", "inverse"), [(0, 0.0625), (2, 0.25), (3, 0.5), (4, 1.0), (900, 1.0)])
def test_annealing_raises_the_inverse_temperature_geometrically_to_exactly_one(values, step, inverse):
    loss, metrics, _ = evaluate(Elbo(mask_annealing_steps=4, mask_annealing_start=0.0625), values, step)
    assert loss == pytest.approx(7.0 / inverse + 4.5, rel=1e-6)
    assert metrics["elbo_nats"] == -loss
    assert inverse < 1.0 or loss == 11.5


@pytest.mark.parametrize(("step", "inverse"), [(0, 0.0625), (1, 0.125), (2, 0.25), (3, 1.0), (900, 1.0)])
def test_annealing_that_ends_early_is_geometric_then_one(values, step, inverse):
    loss, *_ = evaluate(Elbo(mask_annealing_steps=3, mask_annealing_start=0.0625, mask_annealing_end=0.5), values, step)
    assert loss == pytest.approx(7.0 / inverse + 4.5, rel=1e-6)


def test_gradient_of_the_average_loss_is_that_of_the_exact_bound(one_latent, params, binary_images):
    """Against the exact expectation over z by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = jnp.asarray(weights / weights.sum(), jnp.float32)
    mean_of_pixels = binary_images.image.astype(jnp.float32).mean((1, 2, 3))

    def exact(params):
        def of_node(node):
            z = params["b"] * mean_of_pixels + jnp.exp(params["s"]) * node
            return one_latent.decode(params, {"z": Masked(z[:, None])}).log_prob(binary_images.image).mean()

        kl = 0.5 * (jnp.exp(2 * params["s"]) + (params["b"] * mean_of_pixels) ** 2 - 1) - params["s"]
        return kl.mean() - weights @ jax.vmap(of_node)(jnp.asarray(nodes, jnp.float32))

    def one(key):
        return jax.grad(lambda p: Elbo()(one_latent, p, key, binary_images, jnp.zeros((), jnp.int32))[0])(params)

    gradients = jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 4096)))
    for name, expected in jax.jit(jax.grad(exact))(params).items():
        error = gradients[name].std(axis=0) / np.sqrt(4096)
        np.testing.assert_array_less(np.abs(gradients[name].mean(axis=0) - expected), 4.5 * error + 1e-5)


def test_a_model_without_latents_trains_on_its_log_likelihood(values, monkeypatch):
    monkeypatch.setattr(TwoLayers, "bound", lambda self, params, *_, schedule: Bound(params["log_likelihood"], {}))
    loss, metrics, _ = evaluate(Elbo(kl_warmup_steps=4, free_nats=1.0), values)
    assert (loss, metrics) == (7.0, {"log_likelihood_nats": -7.0, "elbo_nats": -7.0, "loss_nats": 7.0})


def test_build_reads_every_option():
    options = {
        "kl_warmup_steps": 7,
        "free_nats": 0.5,
        "mask_annealing_steps": 9,
        "mask_annealing_start": 0.25,
        "mask_annealing_end": 0.5,
    }
    assert objectives.build(section(**options)) == Elbo(**options)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("mask_annealing_start", 0.0, "a finite number, above 0, at most 1"),
        ("mask_annealing_start", 1.5, "a finite number, above 0, at most 1"),
        ("mask_annealing_end", 0.05, "from mask_annealing_start, 0.06, to 1"),
        ("mask_annealing_end", 1.5, "a finite number, above 0, at most 1"),
        ("kl_warmup_steps", -1, "a whole number, 0 or more"),
        ("free_nats", -0.5, "a finite number, 0 or more"),
        ("mask_annealing_steps", -2, "a whole number, 0 or more"),
    ],
)
def test_an_option_out_of_its_range_is_refused(key, value, allowed):
    with pytest.raises(ConfigError) as caught:
        objectives.build(section(**{key: value}))
    assert str(caught.value) == f"config.objective.elbo.{key} is {value}; allowed: {allowed}"


def test_unknown_name_is_one_line_that_names_the_key():
    message = r"^config\.objective\.name is 'elb0'; allowed: elbo, .*reweighted_wake_sleep \(did you mean elbo"
    with pytest.raises(ConfigError, match=message):
        objectives.build(section(name="elb0"))


def test_the_documented_objective_charges_a_nat_of_kl_as_it_says(values):
    loss, metrics, gradient = evaluate(documented("class Beta(").Beta(weight=3.0), values)
    assert loss == metrics["loss_nats"] == 7 + 3 * 4.5
    assert metrics["elbo_nats"] == -7 - 4.5
    assert [float(jnp.sum(gradient[name])) for name in ("log_likelihood", "low", "high")] == [-1.0, 3.0, 3.0]
