"""Where a run came from: commit, versions, devices, command. Tests: tests/runs/test_directory.py."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from ctc_jax.version import VERSION

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpyro", "numpy", "ml_collections")


def provenance(command: list[str]) -> dict[str, Any]:
    """Commit, versions, devices and command of this process."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return result.stdout.strip() if result.returncode == 0 else ""

    commit, dirty = "", False
    try:
        if (root / "launch.py").exists():  # a clone; an installed package may lie in a repository of something else
            commit, dirty = git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except FileNotFoundError:  # no git here
        pass
    return {
        "command": command,
        "git_commit": commit,
        "git_dirty": dirty,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {"ctc_jax": VERSION, **{name: metadata.version(name) for name in PACKAGES}},
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "cpu_count": os.cpu_count(),
        "executable": sys.executable,
    }
