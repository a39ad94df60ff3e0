import os

import jax
import numpy as np
import pytest

from ctc_jax import training
from ctc_jax.cli import modes
from ctc_jax.errors import UserError
from ctc_jax.training.compiled_step import CompiledStep, check_memory, device_memory


def test_a_step_is_compiled_once_for_each_number_of_steps(tiny, monkeypatch):
    experiment = training.build(tiny())
    step = CompiledStep(experiment.step, experiment.sharding)
    compiled = []
    monkeypatch.setattr("ctc_jax.training.compiled_step.check_memory", lambda *sizes: compiled.append(sizes))
    state = jax.jit(experiment.step.init, out_shardings=experiment.sharding)()
    for first, count in ((0, 1), (1, 1), (2, 3), (5, 1)):
        state, metrics = step(state, experiment.stream(first, count))
        assert len(metrics["loss_nats"]) == count
    assert int(state.step) == 6
    assert len(compiled) == 2
    expected = jax.jit(experiment.step.init)()
    for first in range(6):
        expected, _ = jax.jit(experiment.step)(expected, experiment.stream(first, 1))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), state.params, expected.params)


def test_a_step_that_cannot_fit_is_refused_before_it_runs(tiny, tmp_path):
    samples = {"objective__name": "importance_weighted", "objective__importance_weighted__samples": 10**9}
    with pytest.raises(UserError, match=r"needs [\d,.]+ GiB on a device that has .* GiB; lower train.batch_size"):
        training.train(training.build(tiny(**samples)), tmp_path)


def test_a_new_run_whose_step_cannot_fit_leaves_no_workdir(tiny, tmp_path):
    samples = {"objective__name": "importance_weighted", "objective__importance_weighted__samples": 10**9}
    with pytest.raises(UserError, match=r"needs [\d,.]+ GiB on a device"):
        modes.execute(tiny(**samples), defaults={}, workdir=tmp_path / "run", mode="train", command=["launch.py"])
    assert list(tmp_path.iterdir()) == []


def test_what_is_compiled_before_a_run_begins_is_what_it_calls_first(tiny, tmp_path, monkeypatch):
    experiment, compiled = training.build(tiny(train__steps=2)), []
    monkeypatch.setattr("ctc_jax.training.compiled_step.check_memory", lambda *sizes: compiled.append(sizes))
    training.compile_first_call(experiment)
    assert training.train(experiment, tmp_path) == training.Outcome.FINISHED
    assert len(compiled) == 1


def test_memory_that_is_there_is_enough():
    check_memory(2**30, 2**30)
    with pytest.raises(UserError, match=r"needs 1.5 GiB on a device that has 1.0 GiB"):
        check_memory(3 * 2**29, 2**30)


def test_devices_of_a_cpu_share_its_memory():
    if jax.default_backend() != "cpu":
        pytest.skip("of CPUs")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert device_memory() * len(jax.local_devices()) == pytest.approx(machine, rel=1e-6)
