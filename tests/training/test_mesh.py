import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import training
from ctc_jax.errors import ConfigError
from ctc_jax.training.mesh import batch_sharding, check_batch_size, data_mesh


def test_batches_are_split_and_devices_are_all_used():
    mesh = data_mesh()
    assert mesh.size == 4
    array = jax.device_put(jnp.zeros((2, 8, 3)), batch_sharding(mesh))
    assert {shard.data.shape for shard in array.addressable_shards} == {(2, 2, 3)}


def test_a_batch_the_devices_cannot_share_is_refused():
    check_batch_size(8, 4)
    for size in (0, 6):
        with pytest.raises(ConfigError, match="multiple of the number of devices, 4"):
            check_batch_size(size, 4)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp_vae", "conv_vae", "ctc_hierarchy", "top_down", "draw", "conv_draw"])
def test_the_curve_is_the_same_on_one_and_on_four_devices(tiny, model):
    curves = []
    for devices in (1, 4):
        config = tiny(
            model__name=model,
            model__conv_vae__levels=1,
            model__draw__glimpses=3,
            model__conv_draw__glimpses=2,
            model__ctc_hierarchy__levels=1,
            model__ctc_hierarchy__families="gaussian",
            model__top_down__decoder="1x1,2x2",
            likelihood__name="ctc",
            likelihood__ctc__components=2,
            **{"posterior__name": "coupling", "posterior__coupling__steps": 2} if model == "ctc_hierarchy" else {},
        )
        experiment = training.build(config, data_mesh(jax.devices()[:devices]))
        state = jax.jit(experiment.step.init, out_shardings=experiment.sharding)()
        call, losses = jax.jit(experiment.step), []
        for step in range(6):
            state, metrics = call(state, experiment.stream(step, 1))
            losses.append(float(metrics["loss_nats"][0]))
        curves.append(losses)
        experiment.stream.close()
    # Sums over the batch are taken in another order: float32 rounding, grown over six steps of Adam.
    np.testing.assert_allclose(curves[0], curves[1], rtol=2e-5)
