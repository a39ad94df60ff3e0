import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from ctc_jax import training
from ctc_jax.training import Checkpoints, Outcome
from ctc_jax.training.description import describe
from ctc_jax.training.mesh import data_mesh
from ctc_jax.training.sharding import by_size, leaf_name, replicate, state_sharding


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


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((3, 3, 8, 16), PartitionSpec(None, None, None, "data")),
        ((3, 3, 16, 8), PartitionSpec(None, None, "data")),
        ((64, 6), PartitionSpec("data")),
        ((6, 64), PartitionSpec(None, "data")),
        ((9, 9), PartitionSpec()),  # the four devices cannot share 9
        ((4, 15), PartitionSpec()),  # fewer than 64 numbers
        ((), PartitionSpec()),
    ],
)
def test_by_size_the_longest_axis_that_can_be_shared_is_divided(shape, spec):
    assert by_size(64)(shape, data_mesh()) == spec


def test_the_description_tells_what_a_device_holds(tiny):
    whole, divided = (describe(tiny(model__width=16, train__shard_above=above)).mib for above in (0, 256))
    for part in ("parameters", "their gradients", "optimizer"):
        assert whole[part] / 4 < divided[part] < whole[part] / 2


def test_an_array_without_a_rule_is_named():
    with pytest.raises(ValueError, match=r"no sharding rule is for a/bias; the rules are for \.\*kernel"):
        state_sharding({"a": {"bias": jnp.zeros(2)}}, data_mesh(), RULES[:1])


@pytest.mark.slow
@pytest.mark.parametrize("kernels", [True, False])
def test_a_second_rule_is_kept_by_start_step_and_restoring_and_changes_no_number(tiny, tmp_path, kernels):
    changes = {"train__ema_decay": 0.9, "model__width": 8}
    whole = training.build(tiny(**changes))
    divided = (
        dataclasses.replace(whole, rules=RULES) if kernels else training.build(tiny(**changes, train__shard_above=64))
    )
    assert training.train(whole, tmp_path / "whole", stream=io.StringIO()) is Outcome.FINISHED
    started = jax.jit(divided.step.init, out_shardings=divided.sharding)()
    expected = specs(started)
    names = [name for name, spec in expected.items() if spec != PartitionSpec()]
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
