import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.gradients.hierarchy import by_depth, figures
from benchmarks.gradients.hierarchy_candidates import CHOSEN, HELD, WithoutGradient, draw
from benchmarks.gradients.statistics import Draws
from configs import mnist_hierarchy
from ctc_jax import training
from ctc_jax.data import Batch
from ctc_jax.gradients import CATEGORICAL, RLOO, STGumbel, StraightThrough
from ctc_jax.models import ImageSpace, Masked
from ctc_jax.models.walk import keys

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def frozen():
    """A hierarchy of one level with one window of four units, its parameters, and two images."""
    config = mnist_hierarchy.get_config()
    config.model.update({"width": 3, "latents": 2, "features": 2, "blocks": 0})
    config.model.ctc_hierarchy.update({"channels": 1, "levels": 1})
    model = training.build_model(config, ImageSpace((2, 2, 1), 1, 1))
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, KEY)
    params = jax.tree.map(lambda of: jnp.asarray(0.6 * random.standard_normal(of.shape, np.float32)), shapes)
    images = jnp.asarray([[[[1], [0]], [[1], [1]]], [[[0], [0]], [[1], [0]]]], jnp.uint8)
    return model, params, Batch(images, jnp.zeros(2, jnp.int32))


def drawn(frozen, estimators):
    """Which of several estimators -> the gradient of one key, compiled together."""
    model, params, batch = frozen
    compiled = jax.jit(lambda params: draw(model, estimators, params, KEY, batch))
    return lambda chosen=0: compiled({**params, CHOSEN: np.int32(chosen)})


def close(found, expected):
    """To the rounding of float32 in sums that cancel: a shift of all logits of a window changes nothing."""
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_gradient_of_a_level_is_the_leave_one_out_formula(frozen):
    """-dKL/dlogits in closed form, and (r_1 - r_2) (m_1 - m_2) / 2, by the Jacobian of the logits in their layer."""
    model, params, batch = frozen

    @jax.jit
    def parts(params):
        def logits(layer):
            parameters = {**params["posteriors_0"]["parameters"], "logits": layer}
            moved = {**params, "posteriors_0": {**params["posteriors_0"], "parameters": parameters}}
            return model.infer(moved, KEY, batch).sites["level_1"].posterior.logits

        layer, back = jax.flatten_util.ravel_pytree(params["posteriors_0"]["parameters"]["logits"])
        jacobian = jax.jacrev(lambda flat: logits(back(flat)))(layer)
        trace = model.infer(params, KEY, batch)
        site = trace.sites["level_1"]
        masks = CATEGORICAL.sample(keys(KEY, 1)[0], site.posterior.logits, 2)
        drawn = [{**trace.latents, "level_1": Masked(site.draw.value, mask)} for mask in masks]
        rewards = [model.decode(params, latents).log_prob(batch.image) for latents in drawn]
        moments = [(of.logits, of.values.loc, of.values.scale) for of in (site.posterior, site.prior)]
        return jacobian, moments, masks, rewards

    jacobian, moments, masks, rewards = jax.tree.map(lambda of: np.asarray(of, np.float64), parts(params))
    (logits, loc, scale), (prior_logits, prior_loc, prior_scale) = ([part[:, 0] for part in of] for of in moments)
    log_q, log_p = (of - np.log(np.exp(of).sum(axis=1, keepdims=True)) for of in (logits, prior_logits))
    of_values = np.log(prior_scale / scale) + (scale**2 + (loc - prior_loc) ** 2) / (2 * prior_scale**2) - 0.5
    cost, q = log_q - log_p + of_values, np.exp(log_q)
    by_logits = -q * (cost - (q * cost).sum(axis=1, keepdims=True))
    by_logits += (rewards[0] - rewards[1])[:, None] * (masks[0] - masks[1])[:, 0] / 2
    expected = np.einsum("bk,bkp->p", by_logits, jacobian[:, 0]) / len(batch.image)
    assert np.abs(expected).max() > 0.01
    close(drawn(frozen, (RLOO(),))()["level 1"], expected)


def test_estimators_compiled_together_draw_what_each_draws_alone(frozen):
    model, params, batch = frozen
    single = (StraightThrough(), STGumbel())
    together = drawn(frozen, (*single, WithoutGradient()))
    alone = drawn(frozen, single[1:])()
    for part, value in together(1).items():
        close(value, alone[part])

    def held(params):
        trace = model.infer(params, KEY, batch)
        return jnp.mean(trace.log_likelihood - sum(site.kl for site in trace.sites.values()))

    layer = jax.jit(jax.grad(held))(params)["posteriors_0"]["parameters"]["logits"]
    expected = jax.flatten_util.ravel_pytree(layer)[0]
    close(together(2)["level 1"], expected)
    assert np.abs(together(0)["level 1"] - expected).max() > 0.01


def test_figures_are_those_of_the_draws_themselves():
    generator = np.random.default_rng(1)
    mean, deviation = np.array([3.0, -1.0, 0.0]), np.array([1.0, 2.0, 0.5])
    samples, others = (mean + deviation * generator.normal(size=(4096, 3)) for _ in range(2))
    blocks, reference = (of.reshape(16, 256, 3).mean(axis=1) for of in (samples, others))
    scatter = ((samples.reshape(16, 256, 3) - blocks[:, None]) ** 2).sum()
    found = figures(Draws(blocks, float(scatter), 0.0, 4096), reference)
    total = samples.var(axis=0, ddof=1).sum()
    assert found["variance"] == pytest.approx(total)
    # Standard errors: of the variance sum_i s_i^2 sqrt(2 / n) < 0.1; of |mean|^2 2 |mean . s| / sqrt(n) = 0.11.
    assert found["variance"] == pytest.approx(5.25, abs=0.4)
    assert found["squared mean"] == pytest.approx(10.0, abs=0.45)
    assert found["noise to signal"] == pytest.approx(0.525, abs=0.05)
    assert found["cosine of the mean"] == pytest.approx(1.0, abs=0.005)
    assert abs(found["z"]) < 4


def test_a_length_that_noise_hides_is_not_a_number():
    blocks = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    found = figures(Draws(blocks, 4.0, 0.0, 8), blocks)
    assert np.isnan([found[name] for name in ("squared mean", "noise to signal", "relative bias")]).all()


def test_a_row_of_depths_has_the_whole_side_first_and_no_number_where_an_estimator_does_not_serve():
    rows = [
        {"part": part, "estimator": name, "unbiased": "no", "levels": levels, "variance": value}
        for part, name, levels, value in (
            ("level 1", HELD, 1, 2.0),
            ("recognition", HELD, 1, 3.0),
            ("recognition", "double_cv-2", 1, 4.0),
            ("recognition", HELD, 3, 5.0),
        )
    ]
    found = by_depth(rows, "variance")
    assert [(row["part"], row["estimator"]) for row in found] == [
        ("recognition", HELD),
        ("recognition", "double_cv-2"),
        ("level 1", HELD),
    ]
    assert (found[0]["L = 1"], found[0]["L = 3"]) == (3.0, 5.0)
    assert "L = 3" not in found[1]
