import os
import subprocess
import sys

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

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
    file.image(4, "samples", np.zeros((2, 5, 3), np.uint8))
    file.close()
    version, number, picture = events(tmp_path / "tensorboard")
    assert version.file_version == "brain.Event:2"
    assert (number.step, number.summary.value[0].tag) == (3, "train/elbo_nats")
    assert number.summary.value[0].simple_value == -2.5
    assert (picture.step, picture.summary.value[0].image.width) == (4, 5)


def test_a_run_that_goes_on_hides_the_steps_it_does_again(tmp_path):
    EventFile(tmp_path, first_step=7).close()
    _, start = events(tmp_path)
    assert (start.step, start.session_log.status) == (7, SessionLog.START)


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
