import json
import math
import sys
import types

import numpy as np
import pytest

from ctc_jax.errors import UserError
from ctc_jax.reporting.pictures import save_png
from ctc_jax.reporting.writers import MetricWriter, is_done, read_history, truncate_history


def write_steps(workdir, steps):
    writer = MetricWriter(workdir, tensorboard=False)
    for step in steps:
        writer.write(step, "train", {"bound_bpd": 1 / (step + 1)})
        if step % 2 == 0:
            writer.write(step, "validation", {"bound_bpd": 2 / (step + 1)})
    writer.close()


def test_every_line_is_json_that_parses_back(tmp_path):
    writer = MetricWriter(tmp_path, tensorboard=False)
    writer.write(0, "train", {"bound_bpd": np.float32(0.5), "images": np.int64(3)})
    writer.write(7, "test", {"kl_nats/top": 1.25})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()  # before close: each line is flushed
    writer.close()
    assert [json.loads(line) for line in lines] == [
        {"step": 0, "split": "train", "bound_bpd": 0.5, "images": 3},
        {"step": 7, "split": "test", "kl_nats/top": 1.25},
    ]
    assert read_history(tmp_path) == [json.loads(line) for line in lines]


def test_not_finite_numbers_are_valid_json_and_come_back(tmp_path):
    writer = MetricWriter(tmp_path, tensorboard=False)
    writer.write(1, "train", {"a": math.nan, "b": math.inf, "c": -math.inf})
    writer.close()

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=refuse)["a"] == "NaN"
    (entry,) = read_history(tmp_path)
    assert math.isnan(entry["a"])
    assert (entry["b"], entry["c"]) == (math.inf, -math.inf)


def test_truncation_keeps_exactly_the_lines_up_to_the_step(tmp_path):
    write_steps(tmp_path, range(6))
    before = (tmp_path / "metrics.jsonl").read_text().splitlines()
    truncate_history(tmp_path, 3)
    after = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert after == [line for line in before if json.loads(line)["step"] <= 3]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_resumed_file_equals_an_uninterrupted_one(tmp_path):
    write_steps(tmp_path / "whole", range(10))
    write_steps(tmp_path / "cut", range(7))
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "spl')
    truncate_history(tmp_path / "cut", 4)
    write_steps(tmp_path / "cut", range(5, 10))
    assert (tmp_path / "cut" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_line_cut_short_is_ignored_and_not_joined_by_the_next(tmp_path):
    write_steps(tmp_path, [1])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "split": "tr')
    assert [entry["step"] for entry in read_history(tmp_path)] == [1]
    write_steps(tmp_path, [5])
    assert [entry["step"] for entry in read_history(tmp_path)] == [1, 5]


def test_broken_line_in_the_middle_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "split": "train"}\nnot json\n{"step": 2, "split": "train"}\n')
    with pytest.raises(UserError, match="line 2 is not JSON"):
        read_history(tmp_path)


def test_no_file_is_an_empty_history(tmp_path):
    truncate_history(tmp_path, 3)
    assert read_history(tmp_path) == []


def test_tensorboard_holds_the_scalars_and_the_picture(tmp_path):
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import struct

    writer = MetricWriter(tmp_path, tensorboard=True)
    writer.write(4, "train", {"bound_bpd": 0.5})
    save_png(tmp_path / "samples.png", np.zeros((2, 3, 3), np.uint8))
    writer.image(4, "samples", tmp_path / "samples.png")
    writer.hparams({"seed": 3, "none": None}, "test", ["bound_bpd"])
    writer.close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    data, found = path.read_bytes(), {}
    while data:  # a record is its length (8 bytes), a checksum (4), the event, a checksum (4)
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]
        for value in event.summary.value:
            found[value.tag] = (event.step, value)
    assert found["train/bound_bpd"][0] == 4
    assert found["train/bound_bpd"][1].simple_value == 0.5
    assert (found["samples"][1].image.height, found["samples"][1].image.width) == (2, 3)
    assert "_hparams_/session_start_info" in found


def test_missing_wandb_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"report\.wandb_project is 'mine'.*not installed"):
        MetricWriter(tmp_path, tensorboard=False, wandb_project="mine")


def test_wandb_is_given_tagged_numbers_and_the_same_run_again(tmp_path, monkeypatch):
    logged, identities, configs = [], [], []

    def init(**arguments):
        identities.append(arguments["id"])
        return types.SimpleNamespace(
            log=lambda numbers, step: logged.append((step, numbers)),
            finish=lambda: None,
            config=types.SimpleNamespace(update=lambda config, allow_val_change: configs.append(config)),
        )

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    for step in (2, 3):
        writer = MetricWriter(tmp_path, tensorboard=False, wandb_project="mine")
        writer.write(step, "train", {"bound_bpd": 0.5})
        writer.hparams({"seed": 3}, "test", ["bound_bpd"])
        writer.close()
    assert configs == [{"seed": 3}] * 2
    assert logged == [(2, {"train/bound_bpd": 0.5}), (3, {"train/bound_bpd": 0.5})]
    assert identities[0] == identities[1]


def test_a_run_is_done_that_has_its_last_step_and_figures_of_the_test_set():
    train, test = {"step": 10, "split": "train"}, {"step": 10, "split": "test"}
    assert is_done([train, test], 10)
    assert not is_done([train, test], 11)
    assert not is_done([train], 10)
    assert not is_done([test], 10)
    assert not is_done([], 0)
