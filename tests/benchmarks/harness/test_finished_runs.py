import json
from types import SimpleNamespace

import pytest

from benchmarks.harness import finished_runs
from benchmarks.harness.finished_runs import finished, name_of


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("configs/shapes_ctc.py", "shapes_ctc"),
        ("configs/cifar_ctc.py:cpu", "cifar_ctc-cpu"),
        ("configs/cifar_ctc.py:cpu,likelihood.ctc.components=5,seed=1", "cifar_ctc-cpu-components=5-seed=1"),
        ("configs/mnist_hierarchy.py,model.value_scale=0.3", "mnist_hierarchy-value_scale=0.3"),
        ("configs/a.py:relu,estimator.name=reinmax,rloo,seed=0", "a-relu-name=reinmax,rloo-seed=0"),
    ],
)
def test_a_run_is_named_after_its_file_preset_and_changes(config, name):
    assert name_of(config) == name


def test_a_run_that_is_not_made_or_not_evaluated_is_not_finished(tmp_path, monkeypatch):
    history = [{"split": "train", "step": 5}]
    assert finished(tmp_path) is None
    (tmp_path / "metrics.jsonl").write_text(json.dumps(history[0]))
    run = SimpleNamespace(history=history, config=SimpleNamespace(train=SimpleNamespace(steps=5)))
    monkeypatch.setattr(finished_runs.ctc_jax, "load", lambda path: run if path == tmp_path else None)
    assert finished(tmp_path) is None
    history.append({"split": "test", "step": 5})
    assert finished(tmp_path) is run
