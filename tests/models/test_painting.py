import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.mark.parametrize("name", ["draw", "conv_draw"])
def test_a_frame_is_what_a_model_of_so_many_steps_paints(make_model, randomize, name):
    """One set of parameters serves any number of steps."""
    models = [make_model(name, glimpses=glimpses, latents=2) for glimpses in (1, 2, 3)]
    params = randomize(jax.jit(models[-1].init)(jax.random.key(0)))

    @jax.jit
    def painted():
        latents, pixels = models[-1].generate(params, jax.random.key(1), 4)
        first = [{name: latents[name] for name in model.latents} for model in models]
        ends = [model.decode(params, some).mean for model, some in zip(models, first, strict=True)]
        return models[-1].frames(params, latents), ends, pixels.mean

    frames, ends, end = painted()
    assert frames.shape == (4, 4, 2, 2, 1)
    np.testing.assert_allclose(frames[1:], ends, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(frames[-1], end, rtol=1e-4, atol=1e-5)
    start = jnp.broadcast_to(params["first_canvas"][None], (4, 2, 2, 3))
    logits = models[-1].network.likelihood.apply({"params": params["likelihood"]}, start).mean
    np.testing.assert_allclose(frames[0], logits, rtol=1e-4)
    assert np.abs(np.diff(frames, axis=0)).max(axis=(1, 2, 3, 4)).min() > 0.01


def test_a_model_without_a_canvas_has_no_frames(make_model):
    model = make_model("mlp_vae")
    params = jax.jit(model.init)(jax.random.key(0))
    assert model.frames(params, model.generate(params, jax.random.key(1), 2)[0]) is None
