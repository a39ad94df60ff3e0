import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.layers.recurrent_state import RecurrentState


def test_it_is_the_cell_of_flax_with_a_forget_bias_of_one():
    cell, units, random = nn.LSTMCell(3), 3, np.random.default_rng(0)
    inputs, output, carried = (jnp.float32(random.normal(size=(2, size))) for size in (4, units, units))
    params = cell.init(jax.random.key(0), (carried, output), inputs)["params"]
    params = jax.tree.map(lambda leaf: leaf + 0.5 * random.standard_normal(leaf.shape, np.float32), params)
    gates = [
        inputs @ params[f"i{gate}"]["kernel"] + output @ params[f"h{gate}"]["kernel"] + params[f"h{gate}"]["bias"][None]
        for gate in "ifog"
    ]
    found = RecurrentState(output, carried).advanced(jnp.concatenate(gates, axis=-1))
    params["hf"]["bias"] += 1.0
    (expected_cell, expected_output), _ = cell.apply({"params": params}, (carried, output), inputs)
    np.testing.assert_allclose(found.cell, expected_cell, rtol=1e-5)
    np.testing.assert_allclose(found.output, expected_output, rtol=1e-5)
