"""Which jobs a sweep has submitted, on disk: a launcher that follows a killed one finds them. Tests: test_ledger.py.

A submission is noted before it is made, since a launcher may be killed at any moment after. It is told from all others
by its token, which the job's processes have in their environment and a Slurm job in its name.
"""

import dataclasses
import json
import os
import platform
import time
import uuid
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Submission:
    """A run's job.

    Attributes:
      executor: local or slurm.
      token: unlike any other submission's.
      host: the machine that submitted it.
      noted_at: when, seconds since 1970.
      job_id: what the executor calls it; "" until that is known.
      cores: of this machine that the run has for itself; none where it may use all.
    """

    executor: str
    token: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex[:12])
    host: str = dataclasses.field(default_factory=platform.node)
    noted_at: float = dataclasses.field(default_factory=time.time)
    job_id: str = ""
    cores: tuple[int, ...] = ()


class Ledger:
    """The submissions whose end the sweep has not counted yet.

    Args:
      folder: a file for each of them, by the name of its run.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def write(self, name: str, submission: Submission) -> None:
        """Notes a submission, or what has become known of it."""
        write_whole(self._folder / f"{name}.json", json.dumps(dataclasses.asdict(submission)))

    def read(self, name: str) -> Submission | None:
        """The run's submission; None where there is none or its file cannot be read."""
        try:
            noted = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
            return Submission(**{**noted, "cores": tuple(noted["cores"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def erase(self, name: str, submission: Submission) -> None:
        """Counts its end."""
        self.exit_note(name, submission).unlink(missing_ok=True)
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def exit_note(self, name: str, submission: Submission) -> Path:
        """The file in which its job notes the exit code."""
        return self._folder / f"{name}.{submission.token}.exit"

    def exit_code(self, name: str, submission: Submission) -> int | None:
        """The exit code that its job noted; None where it was lost before it could, or still runs."""
        try:
            return int(self.exit_note(name, submission).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def write_whole(path: Path, text: str) -> None:
    """Writes to a temporary name and renames, so that a reader never sees half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)
