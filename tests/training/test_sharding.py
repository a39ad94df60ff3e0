import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from ctc_jax import training
from ctc_jax.training import Checkpoints, Outcome
from ctc_jax.training.mesh import data_mesh
from ctc_jax.training.sharding import leaf_name, replicate, state_sharding


def by_first_axis(shape, mesh):
    """A toy of a second rule: the first axis is divided among the devices where they can share it."""
    return PartitionSpec("data") if shape and shape[0] % mesh.size == 0 else PartitionSpec()


RULES = ((".*kernel", by_first_axis), (".*", replicate))


def specs(tree) -> dict[str, PartitionSpec]:
    return {leaf_name(path): leaf.sharding.spec for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_the_first_rule_that_matches_a_whole_name_holds():
    state = {"a": {"kernel": jnp.zeros((8, 3)), "bias": jnp.zeros(8)}, "b": {"kernel": jnp.zeros((3, 8))}}
    placed = state_sharding(jax.eval_shape(lambda: state), data_mesh(), RULES)
    assert jax.tree.map(lambda sharding: sharding.spec, placed) == {
        "a": {"kernel": PartitionSpec("data"), "bias": PartitionSpec()},
        "b": {"kernel": PartitionSpec()},
    }
    everywhere = state_sharding(jax.eval_shape(lambda: state), data_mesh())
    assert all(sharding.is_fully_replicated for sharding in jax.tree.leaves(everywhere))


def test_an_array_without_a_rule_is_named():
    with pytest.raises(ValueError, match=r"no sharding rule is for a/bias; the rules are for \.\*kernel"):
        state_sharding({"a": {"bias": jnp.zeros(2)}}, data_mesh(), RULES[:1])


@pytest.mark.slow
def test_a_second_rule_is_kept_by_start_step_and_restoring_and_changes_no_number(tiny, tmp_path):
    whole = training.build(tiny(train__ema_decay=0.9, model__width=8))
    divided = dataclasses.replace(whole, rules=RULES)
    assert training.train(whole, tmp_path / "whole", stream=io.StringIO()) is Outcome.FINISHED
    started = jax.jit(divided.step.init, out_shardings=divided.sharding)()
    expected = specs(started)
    names = [name for name, spec in expected.items() if spec == PartitionSpec("data")]
    assert len([name for name in names if name.startswith("params/")]) >= 2
    assert len(names) % 4 == 0  # parameters, their average and both moments of Adam
    steps = []

    def interrupted() -> bool:
        steps.append(len(steps))
        return len(steps) == 5

    assert training.train(divided, tmp_path / "divided", interrupted=interrupted, stream=io.StringIO()) is (
        Outcome.INTERRUPTED
    )
    assert training.train(divided, tmp_path / "divided", stream=io.StringIO()) is Outcome.FINISHED
    ends = []
    for experiment, name in ((whole, "whole"), (divided, "divided")):
        checkpoints = Checkpoints(tmp_path / name / "checkpoints")
        ends.append(checkpoints.restore(experiment.abstract_state, experiment.sharding).state)
        checkpoints.close()
    assert specs(ends[1]) == expected
    stepped, _ = jax.jit(divided.step, out_shardings=(divided.sharding, None))(ends[1], divided.stream(0, 1))
    assert specs(stepped) == expected
    # Sums are taken in another order where an array is divided.
    for one, other in zip(jax.tree.leaves(ends[0].params), jax.tree.leaves(ends[1].params), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-5)
