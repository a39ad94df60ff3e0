import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.gradients import frozen as frozen_gradient
from configs import mnist_bernoulli_latents
from ctc_jax import training
from ctc_jax.data import Batch
from ctc_jax.gradients import RLOO, Enumerate, ScoreMovingAverage
from ctc_jax.models import ImageSpace


@pytest.fixture(scope="module")
def frozen():
    """A model of two CTC masks of three on 2x2 pixels, its parameters, and a batch of four images."""
    config = mnist_bernoulli_latents.get_config()
    config.update_from_flattened_dict(
        {"model.mask_vae.latent": "ctc", "model.latents": 2, "model.mask_vae.categories": 3}
    )
    model = training.build_model(config, ImageSpace((2, 2, 1), 1, 1))
    images = np.random.default_rng(0).integers(0, 2, (4, 2, 2, 1)).astype(np.uint8)
    return model, jax.jit(model.init)(jax.random.key(3)), Batch(jnp.asarray(images), jnp.zeros(4, jnp.int32))


@pytest.fixture(scope="module")
def drawn(frozen):
    """Six draws of rloo, by the keys of seed 7."""
    model, params, batch = frozen
    draw = jax.jit(lambda key: frozen_gradient.draw(model, RLOO(), params, key, batch))
    return [draw(jax.random.fold_in(jax.random.key(7), i)) for i in range(6)]


def test_gradients_in_logits_and_values_are_those_of_the_posteriors_bias(frozen, drawn):
    """Logits and locations are an affine function of the encoder's last bias: its gradient is theirs summed."""
    _, params, _ = frozen
    found = drawn[0]
    encoder = {name: value for name, value in params.items() if name.startswith(frozen_gradient.ENCODER)}
    in_bias = jax.flatten_util.ravel_pytree(encoder)[1](found["encoder"])["posterior"]["bias"]
    np.testing.assert_allclose(found["logits"].reshape(4, 6).sum(axis=0), in_bias[:6], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found["values"].reshape(4, 6).sum(axis=0), in_bias[6:12], rtol=1e-4, atol=1e-7)


def test_whole_gradient_has_the_encoders_draw_in_it(frozen, drawn):
    model, params, batch = frozen
    key = jax.random.fold_in(jax.random.key(7), 1)
    whole = frozen_gradient.whole_gradient(model, RLOO())(params, key, batch)
    encoder = {name: value for name, value in whole.items() if name.startswith(frozen_gradient.ENCODER)}
    np.testing.assert_allclose(jax.flatten_util.ravel_pytree(encoder)[0], drawn[1]["encoder"], rtol=1e-4, atol=1e-7)


def test_with_held_values_enumeration_has_no_variance(frozen):
    model, params, batch = frozen
    held = partial(frozen_gradient.draw, values_key=jax.random.key(0))
    found = frozen_gradient.Sampler(model, Enumerate(), held)(params, batch, seed=0, blocks=2, size=2)
    assert all(draws.variance == 0.0 for draws in found.values())


def test_sampler_keeps_the_statistics_of_its_draws(frozen, drawn):
    model, params, batch = frozen
    reference = {name: np.arange(len(value)) - 2.0 for name, value in drawn[0].items()}
    sampler = frozen_gradient.Sampler(model, RLOO())
    found = sampler(params, batch, seed=7, blocks=2, size=3, reference=reference)
    for name, draws in found.items():
        each = np.stack([one[name] for one in drawn]).astype(np.float64)
        np.testing.assert_allclose(draws.means, each.reshape(2, 3, -1).mean(axis=1), rtol=1e-4, atol=1e-6)
        assert draws.variance == pytest.approx(each.var(axis=0, ddof=1).mean(), rel=1e-4)
        along = each @ reference[name] / np.linalg.norm(reference[name])
        assert draws.cosine == pytest.approx((along / np.linalg.norm(each, axis=1)).mean(), abs=1e-5)


def test_what_is_learned_follows_its_target_while_the_model_stays(frozen):
    """With decay 0.5 a moving average of the reward is that of the last few batches, near the mean reward."""
    model, params, batch = frozen
    estimator = ScoreMovingAverage(decay=0.5)
    learned = frozen_gradient.Learner(model, estimator)(params, lambda step: batch, steps=40)
    assert all(learned[name] is params[name] for name in params)
    average = learned[frozen_gradient.LEARNED]["z"]["moving_averages"]["reward"]
    ready = dataclasses.replace(model, estimator=RLOO(samples=500))
    terms = jax.jit(ready.bound)(params, jax.random.key(0), batch)
    # Rewards differ by about a nat within the batch; the average is over about three batches of four.
    assert float(average) == pytest.approx(float(terms.log_likelihood.mean()), abs=1.5)
    assert float(average) < -1.0
