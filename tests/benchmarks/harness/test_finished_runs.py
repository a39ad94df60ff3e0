import pytest

from benchmarks.harness.finished_runs import name_of


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
