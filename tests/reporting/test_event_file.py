import os
import subprocess
import sys

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from ctc_jax.reporting import save_png
from ctc_jax.reporting.event_file import EventFile


def events(folder) -> list[Event]:
    """The events of the one file; a record is its length (8 bytes), a checksum (4), the event, a checksum (4)."""
    (path,) = folder.iterdir()
    data, found = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_numbers_and_pictures_come_back_with_their_steps(tmp_path):
    file = EventFile(tmp_path / "tensorboard")
    file.scalar(3, "train/elbo_nats", -2.5)
    save_png(tmp_path / "samples.png", np.zeros((2, 5, 3), np.uint8))
    file.image(4, "samples", tmp_path / "samples.png")
    file.close()
    version, number, picture = events(tmp_path / "tensorboard")
    assert version.file_version == "brain.Event:2"
    assert (number.step, number.summary.value[0].tag) == (3, "train/elbo_nats")
    assert number.summary.value[0].simple_value == -2.5
    image = picture.summary.value[0].image
    assert (picture.step, image.height, image.width) == (4, 2, 5)
    assert image.encoded_image_string == (tmp_path / "samples.png").read_bytes()


def test_a_config_is_kept_with_the_tags_by_which_runs_are_compared(tmp_path):
    file = EventFile(tmp_path)
    file.hparams({"seed": 3, "likelihood.name": "ctc", "flag": True}, ["test/bound_bpd"])
    file.close()
    _, *found = events(tmp_path)
    data = {}
    for event in found:
        (value,) = event.summary.value
        assert value.metadata.plugin_data.plugin_name == "hparams"
        data[value.tag] = HParamsPluginData.FromString(value.metadata.plugin_data.content)
    assert [of.name.tag for of in data["_hparams_/experiment"].experiment.metric_infos] == ["test/bound_bpd"]
    values = data["_hparams_/session_start_info"].session_start_info.hparams
    assert values["seed"].number_value == 3
    assert (values["likelihood.name"].string_value, values["flag"].bool_value) == ("ctc", True)


def test_a_run_that_goes_on_hides_the_steps_it_does_again(tmp_path):
    EventFile(tmp_path, first_step=7).close()
    _, start = events(tmp_path)
    assert (start.step, start.session_log.status) == (7, SessionLog.START)


def test_files_of_one_second_do_not_overwrite_each_other(tmp_path):
    for _ in range(2):
        EventFile(tmp_path).close()
    assert len(list(tmp_path.iterdir())) == 2


FULL = """
import os, sys
from pathlib import Path
from ctc_jax.reporting import MetricWriter

disk = Path(sys.argv[1])
os.system(f"mount -t tmpfs -o size=200k tmpfs {disk}")
writer = MetricWriter(disk, tensorboard=True)
try:
    for step in range(10_000):
        writer.write(step, "train", {"loss_nats": float(step)})
except OSError as error:
    print(error.strerror)
finally:
    try:
        writer.close()
    except OSError:
        pass
"""


def test_a_full_disk_is_an_error_of_the_caller_and_of_nobody_else(tmp_path):
    mounts = ["unshare", "-rm"]  # tmpfs of a namespace of its own, which needs no rights
    mount = [*mounts, "mount", "-t", "tmpfs", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    done = subprocess.run(
        [*mounts, sys.executable, "-c", FULL, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.getcwd()},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "No space left on device\n", "")
