import jax
import jax.numpy as jnp
import numpy as np

from tests.documented import skeleton

CHAINS, MOVES = 512, 200


def test_the_skeleton_samples_a_gaussian():
    method = skeleton("inference").RandomWalk(step_size=2.0)

    def log_joint(position):
        return -0.5 * jnp.sum(((position["z"] - 1.0) / 2.0) ** 2)

    @jax.jit
    @jax.vmap
    def ends(key):
        def move(state, key):
            return method.move(key, state, log_joint)

        start = method.init({"z": jnp.zeros(1)}, log_joint)
        state, accepted = jax.lax.scan(move, start, jax.random.split(key, MOVES))
        return state.position["z"][0], accepted.mean()

    found, accepted = jax.device_get(ends(jax.random.split(jax.random.key(0), CHAINS)))
    # Chains are independent, and 200 moves forget the start.
    assert abs(found.mean() - 1.0) < 4.5 * 2.0 / np.sqrt(CHAINS)
    assert abs(found.var() / 4.0 - 1.0) < 4.5 * np.sqrt(2.0 / CHAINS)
    assert 0.3 < accepted.mean() < 0.95
