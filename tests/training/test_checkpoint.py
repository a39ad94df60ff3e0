import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from ctc_jax.errors import UserError
from ctc_jax.training.checkpoint import Checkpoints
from ctc_jax.training.mesh import data_mesh, replicated
from ctc_jax.training.step import TrainState


def state(step: int, value: float = 0.0, dtype=jnp.float32) -> TrainState:
    return TrainState(
        jnp.asarray(step, jnp.int32), {"w": jnp.full((3,), value, dtype)}, (), (jnp.ones(2),), jnp.zeros((), jnp.int32)
    )


def on(devices: int):
    return replicated(data_mesh(jax.devices()[:devices]))


ABSTRACT = jax.eval_shape(lambda: state(0))


@pytest.fixture
def opened(tmp_path):
    said = []
    checkpoints = Checkpoints(tmp_path / "checkpoints", said.append)
    yield checkpoints, said, tmp_path / "checkpoints"
    checkpoints.close()


def largest_file(folder):
    files = [os.path.join(root, name) for root, _, names in os.walk(folder / "state") for name in names]
    return max(files, key=os.path.getsize)


def test_latest_two_and_best_are_kept(opened):
    checkpoints, _, _ = opened
    for step, bound in [(1, 5.0), (2, 3.0), (3, 4.0), (4, None), (5, 3.5), (6, None)]:
        checkpoints.save(state(step, step), elapsed_s=10.0 * step, bound_bpd=bound)
    checkpoints.close()
    assert checkpoints.steps == [2, 5, 6]


def test_latest_best_and_numbered_states_come_back_whole(opened):
    checkpoints, _, _ = opened
    for step, bound in [(1, 3.0), (2, 4.0)]:
        checkpoints.save(state(step, step + 0.1), elapsed_s=10.0 * step, bound_bpd=bound)
    for wanted, step in [("latest", 2), ("best", 1), (1, 1)]:
        restored = checkpoints.restore(ABSTRACT, on(1), wanted)
        assert restored.state.step == step
        assert restored.elapsed_s == 10.0 * step
        np.testing.assert_array_equal(restored.state.params["w"], state(step, step + 0.1).params["w"])


def test_no_checkpoint_is_none_and_an_absent_step_is_told(opened):
    checkpoints, _, _ = opened
    assert checkpoints.restore(ABSTRACT, on(1)) is None
    checkpoints.save(state(3), elapsed_s=0.0)
    with pytest.raises(UserError, match="no checkpoint of step 7"):
        checkpoints.restore(ABSTRACT, on(1), 7)


def test_saved_on_four_devices_restored_on_one_and_back(opened):
    checkpoints, _, _ = opened
    checkpoints.save(jax.device_put(state(1, 0.5), on(4)), elapsed_s=0.0)
    one = checkpoints.restore(ABSTRACT, on(1)).state
    assert one.params["w"].sharding.num_devices == 1
    four = checkpoints.restore(ABSTRACT, on(4)).state
    assert four.params["w"].sharding.num_devices == 4
    np.testing.assert_array_equal(one.params["w"], four.params["w"])


@pytest.mark.parametrize("bad", [np.nan, -np.inf, np.inf])
def test_a_bound_that_is_not_finite_is_never_the_best_nor_evicts_it(opened, bad):
    checkpoints, _, folder = opened
    for step, bound in [(1, 5.0), (2, 3.0), (3, bad), (4, bad), (5, bad)]:
        checkpoints.save(state(step), elapsed_s=0.0, bound_bpd=bound)
    checkpoints.close()
    again = Checkpoints(folder)
    assert (again.steps, again.best) == ([2, 4, 5], 2)
    restored = again.restore(ABSTRACT, on(1), "best")
    assert (restored.state.step, restored.bound_bpd) == (2, 3.0)
    np.testing.assert_equal(again.restore(ABSTRACT, on(1)).bound_bpd, bad)


def test_bounds_that_are_all_not_finite_leave_the_latest_as_the_best(opened):
    checkpoints, said, _ = opened
    for step in (1, 2):
        checkpoints.save(state(step), elapsed_s=0.0, bound_bpd=np.nan)
    assert checkpoints.best is None
    assert checkpoints.restore(ABSTRACT, on(1), "best").state.step == 2
    assert said == []


def flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 4


def zero(data: bytearray) -> None:
    start = len(data) // 3
    data[start : start + 64] = bytes(len(data[start : start + 64]))


def halve(data: bytearray) -> None:
    del data[len(data) // 2 :]


@pytest.mark.parametrize("damage", [flip, zero, halve, None])
def test_damage_to_any_file_is_noticed_or_without_effect(opened, damage):
    # 1 stays whole and 2 is damaged in one file after another; None removes the file.
    checkpoints, _, folder = opened
    for step in (1, 2):
        checkpoints.save(state(step, step + 0.1), elapsed_s=10.0 * step, bound_bpd=-float(step))
    checkpoints.close()
    found, mutable = {1: 0, 2: 0}, [path for path in sorted((folder / "2").rglob("*")) if path.is_file()]
    for path in mutable:
        whole, said = path.read_bytes(), []
        damaged = bytearray(whole)
        if damage is None:
            path.unlink()
        else:
            damage(damaged)
            path.write_bytes(damaged)
        for wanted in ("latest", "best"):
            again = Checkpoints(folder, said.append)
            restored = again.restore(ABSTRACT, on(1), wanted)
            again.close()
            step = int(restored.state.step)
            np.testing.assert_array_equal(restored.state.params["w"], state(step, step + 0.1).params["w"])
            assert (restored.elapsed_s, restored.bound_bpd) == (10.0 * step, -float(step))
            assert len(said) == (2 - step) * (1 if wanted == "latest" else 2), (path, said)
            assert all("checkpoints/2 cannot be read" in line for line in said)
        found[step] += 1
        path.write_bytes(whole)
    assert found[1] >= 4  # the manifests, the arrays, their list and the notes at least


def test_a_missing_list_of_arrays_is_damage_and_no_other_config(opened):
    checkpoints, said, folder = opened
    checkpoints.save(state(1), elapsed_s=0.0)
    checkpoints.close()
    (folder / "1" / "state" / "_METADATA").unlink()
    with pytest.raises(UserError, match=r"checkpoints/1 cannot be read \(its list of arrays is missing or damaged\)$"):
        Checkpoints(folder, said.append).restore(ABSTRACT, on(1))
    assert said == []


def test_a_truncated_latest_gives_way_to_the_one_before_and_is_said(opened):
    checkpoints, said, folder = opened
    checkpoints.save(state(1, 1.0), elapsed_s=0.0)
    checkpoints.save(state(2, 2.0), elapsed_s=0.0)
    checkpoints.close()
    path = largest_file(folder / "2")
    os.truncate(path, os.path.getsize(path) // 2)
    again = Checkpoints(folder, said.append)
    assert again.restore(ABSTRACT, on(1)).state.params["w"][0] == 1.0
    assert len(said) == 1
    assert "checkpoints/2 cannot be read" in said[0]
    again.discard_after(1)
    again.save(state(2, 3.0), elapsed_s=0.0)
    again.close()
    assert Checkpoints(folder).restore(ABSTRACT, on(1)).state.params["w"][0] == 3.0


def test_a_truncated_best_gives_way_to_the_latest_and_is_said(opened):
    checkpoints, said, folder = opened
    for step, bound in [(1, 3.0), (2, 5.0), (3, 4.0)]:
        checkpoints.save(state(step, float(step)), elapsed_s=0.0, bound_bpd=bound)
    checkpoints.close()
    path = largest_file(folder / "1")
    os.truncate(path, os.path.getsize(path) // 2)
    assert Checkpoints(folder, said.append).restore(ABSTRACT, on(1), "best").state.params["w"][0] == 3.0
    assert len(said) == 1
    assert "checkpoints/1 cannot be read" in said[0]


def test_a_full_disk_is_said_in_one_line(opened, monkeypatch):
    checkpoints, _, folder = opened

    def save(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: Error writing 'a': No space left on device\nand more")

    monkeypatch.setattr(ocp.CheckpointManager, "save", save)
    with pytest.raises(UserError) as caught:
        checkpoints.save(state(1), elapsed_s=0.0)
    assert str(caught.value) == (
        f"checkpoint cannot be written to {folder}: no space left on the device; those finished before it are whole, "
        "the same command goes on from there"
    )


DISK = """
import os, sys, threading
import numpy as np
from pathlib import Path
from ctc_jax.errors import UserError
from ctc_jax.training.checkpoint import Checkpoints
from ctc_jax.training.step import TrainState

values = np.random.default_rng(0).standard_normal(30_000).astype(np.float32)
for number, left in enumerate([None, 0, 4096, 20_000, 100_000]):
    disk = Path(sys.argv[1]) / str(number)
    disk.mkdir()
    os.system(f"mount -t tmpfs -o size=1m tmpfs {disk}")
    checkpoints = Checkpoints(disk / "checkpoints")
    checkpoints.save(TrainState(np.int32(1), {"w": values}, (), (), np.int32(0)), elapsed_s=0.0)
    checkpoints._manager.wait_until_finished()
    if left is None:
        os.system(f"mount -o remount,ro {disk}")
    else:
        free = os.statvfs(disk)
        (disk / "other").write_bytes(bytes(free.f_bavail * free.f_bsize - left))
    try:
        checkpoints.save(TrainState(np.int32(2), {"w": values}, (), (), np.int32(0)), elapsed_s=0.0)
        checkpoints.close()
    except UserError as error:
        print(str(error).replace(str(disk), "DISK"))
"""


def test_a_full_and_a_read_only_disk_are_told_and_nothing_is_left_that_waits(tmp_path):
    mounts = ["unshare", "-rm"]  # tmpfs of a namespace of its own, which needs no rights
    if subprocess.run(
        [*mounts, "mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True, check=False
    ).returncode:
        pytest.skip("no file system can be mounted here")
    done = subprocess.run(
        [*mounts, sys.executable, "-c", DISK, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.getcwd()},
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert told[0].startswith(
        "checkpoint cannot be written to DISK/checkpoints: OSError: [Errno 30] Read-only file system"
    )
    assert all("DISK/checkpoints: no space left on the device; those finished" in line for line in told[1:])
    assert len(told) == 5


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(UserError, match=r"checkpoints .* cannot be read: "):
        Checkpoints(tmp_path / "checkpoints")


def test_an_unfinished_folder_is_ignored(opened):
    checkpoints, _, folder = opened
    checkpoints.save(state(1, 1.0), elapsed_s=0.0)
    checkpoints.close()
    (folder / "2.orbax-checkpoint-tmp-1" / "state").mkdir(parents=True)
    (folder / "3").mkdir()
    again = Checkpoints(folder)
    assert again.restore(ABSTRACT, on(1)).state.step == 1
    again.close()


OTHERS = [state(0, dtype=jnp.bfloat16), dataclasses.replace(state(0), params={"v": jnp.ones(3)})]


@pytest.mark.parametrize("other", OTHERS)
def test_another_type_or_name_is_refused_and_not_cast(opened, other):
    checkpoints, _, _ = opened
    checkpoints.save(state(1), elapsed_s=0.0)
    with pytest.raises(UserError, match="does not fit the config: params/"):
        checkpoints.restore(jax.eval_shape(lambda: other), on(1))


def test_a_donated_state_can_be_saved(opened):
    checkpoints, _, _ = opened
    update = jax.jit(lambda s: jax.tree.map(lambda leaf: leaf + 1, s), donate_argnums=0)
    current = state(1, 1.0)
    checkpoints.save(current, elapsed_s=0.0)
    current = update(current)
    np.testing.assert_array_equal(checkpoints.restore(ABSTRACT, on(1), 1).state.params["w"], np.ones(3))
    assert current.step == 2
