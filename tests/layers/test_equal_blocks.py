import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.layers import BottleneckBlock
from ctc_jax.layers.equal_blocks import EqualBlocks, stacked


def test_a_loop_gives_what_blocks_one_after_another_do_and_each_starts_as_if_it_were_alone():
    features = jnp.asarray(np.random.default_rng(0).standard_normal((2, 1, 2, 4), np.float32))
    block, key = BottleneckBlock(2, jnp.tanh, parent=None), jax.random.key(0)
    params = jax.jit(stacked(block, 3, features))(key)
    alone = [jax.jit(block.init)(one, features)["params"] for one in jax.random.split(key, 3)]
    jax.tree.map(lambda all_of, *each: np.testing.assert_allclose(all_of, np.stack(each)), params, *alone)
    one_by_one, loop = (EqualBlocks(block, params, rolled) for rolled in (False, True))

    @jax.jit
    def answers():
        expected = features
        for own in alone:
            expected = block.apply({"params": own}, expected)
        return one_by_one(features), loop(features), expected, one_by_one.own(1, 2)

    unrolled, rolled, expected, last = answers()
    np.testing.assert_allclose(unrolled, expected, rtol=1e-5)
    np.testing.assert_allclose(rolled, expected, rtol=1e-5)
    jax.tree.map(lambda found, *each: np.testing.assert_allclose(found, np.stack(each)), last, *alone[1:])
