"""TensorBoard's event files, written by the caller itself. Tests: tests/reporting/test_event_file.py.

tensorboardX's own SummaryWriter hands events to a thread, where a full disk is a traceback that nobody catches.
"""

import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

FLUSH_S = 60.0  # at most this much is lost when the process is killed


class EventFile:
    """An event file of a run; imported late, because tensorboardX is slow to import and not every run wants it.

    Args:
      folder: made when missing.
      first_step: TensorBoard hides what earlier files have of this step and later ones, which a resumed run does again;
        0 hides nothing.

    Raises:
      OSError: the disk is full, as everywhere in this class.
    """

    def __init__(self, folder: Path, first_step: int = 0):
        from tensorboardX.proto import event_pb2
        from tensorboardX.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._event = event_pb2.Event
        # To a fraction of a second: the evaluation and the pictures after it may come within one, and each has a file.
        self._records = RecordWriter(str(folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"))
        self._flushed = 0.0
        self._records.write(self._event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        if first_step:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(first_step, session_log=start)

    def scalar(self, step: int, tag: str, value: float | int) -> None:
        """Adds a number."""
        from tensorboardX import summary

        self._write(step, summary=summary.scalar(tag, value))

    def image(self, step: int, tag: str, path: Path) -> None:
        """Adds a picture as it is in its file, PNG or GIF."""
        from tensorboardX.proto.summary_pb2 import Summary

        with Image.open(path) as picture:
            width, height = picture.size
        held = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes())
        self._write(step, summary=Summary(value=[Summary.Value(tag=tag, image=held)]))

    def hparams(self, values: Mapping[str, str | bool | int | float], tags: Sequence[str]) -> None:
        """Adds what TensorBoard's page HPARAMS tells runs apart by, and the tags of the numbers that it compares."""
        from tensorboardX import summary

        for content in summary.hparams(dict(values), dict.fromkeys(tags)):
            self._write(0, summary=content)

    def close(self) -> None:
        """Writes what is still in memory; the file is closed even where that fails."""
        self._records.close()

    def _write(self, step: int, **content: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), step=step, **content).SerializeToString())
        if time.monotonic() - self._flushed > FLUSH_S:
            self._records.flush()
            self._flushed = time.monotonic()
