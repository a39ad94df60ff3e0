import io

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ctc_jax import process, reporting, runs
from ctc_jax.reporting import MetricWriter, Progress, read_history, save_png, truncate_history, write_report
from ctc_jax.training.mesh import data_mesh


@pytest.mark.parametrize(
    ("started", "index", "leads"), [(False, 1, True), (True, 0, True), (True, 1, False), (True, 3, False)]
)
def test_the_first_of_several_processes_leads_and_a_single_one_is_not_asked(monkeypatch, started, index, leads):
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: started)
    monkeypatch.setattr(jax, "process_index", lambda: index)
    assert process.is_leader() is leads


def test_a_process_alone_agrees_with_itself_and_waits_for_nobody():
    assert [process.any_of_all(flag) for flag in (True, False)] == [True, False]
    assert [process.leaders(flag) for flag in (True, False)] == [True, False]
    process.wait_for_all("a test")
    split = jax.device_put(np.arange(8.0), NamedSharding(data_mesh(), PartitionSpec("data")))
    np.testing.assert_array_equal(process.whole(split), np.arange(8.0))


def write_everything(workdir, said) -> None:
    progress = Progress(2, stream=said)
    progress.message("a line")
    with runs.claim(workdir, {"seed": 0}):
        runs.begin(workdir, {"seed": 0}, {"shape": [1]}, ["launch.py"])
        truncate_history(workdir, 0)
        writer = MetricWriter(workdir, tensorboard=True)
        writer.write(1, "train", {"loss_nats": 2.0})
        save_png(workdir / "samples" / "one.png", np.zeros((2, 2, 3), np.uint8))
        writer.image(1, "samples", workdir / "samples" / "one.png")
        writer.hparams({"seed": 0}, "test", ["loss_nats"])
        writer.close()
        progress.report(1, {"loss_nats": 2.0})
        page = {"title": "a run", "summary": {}, "history": [], "config": {}, "provenance": {}, "pictures": ()}
        write_report(workdir / reporting.REPORT, **page)
    progress.close()


def test_only_the_leading_process_writes_and_tells(monkeypatch, tmp_path):
    said = io.StringIO()
    monkeypatch.setattr(process, "is_leader", lambda: False)
    (tmp_path / "follower").mkdir()
    write_everything(tmp_path / "follower", said)
    assert list((tmp_path / "follower").iterdir()) == []
    assert said.getvalue() == ""
    monkeypatch.setattr(process, "is_leader", lambda: True)
    write_everything(tmp_path / "leader", said)
    assert {"config.json", "provenance.json", "metrics.jsonl", "samples", reporting.REPORT} <= {
        path.name for path in (tmp_path / "leader").iterdir()
    }
    assert read_history(tmp_path / "leader") == [{"step": 1, "split": "train", "loss_nats": 2.0}]
    assert said.getvalue().startswith("a line")
