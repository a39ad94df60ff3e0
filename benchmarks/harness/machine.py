"""What a figure was measured on. Tests: tests/benchmarks/harness/test_machine.py."""

import datetime
import os
import platform
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# Dense floating-point operations a second by device kind and compute type; vendors' figures, without sparsity.
PEAK_FLOPS = {
    ("NVIDIA H200", "bfloat16"): 989e12,
    ("NVIDIA H100 80GB HBM3", "bfloat16"): 989e12,
    ("NVIDIA A100-SXM4-80GB", "bfloat16"): 312e12,
    ("NVIDIA A100-SXM4-40GB", "bfloat16"): 312e12,
}


def limit_threads(threads: int) -> int:
    """Keeps this process and its children on `threads` cores (0: those it has already); call before JAX starts.

    Both XLA and PyTorch take the number of cores they may run on as their number of threads.
    """
    cores = sorted(os.sched_getaffinity(0))
    if threads:
        cores = cores[:threads]
        os.sched_setaffinity(0, cores)
    return len(cores)


def describe() -> dict[str, Any]:
    """Processor, cores this process may use, memory, system, versions, devices, commit and date."""
    from ctc_jax.runs import provenance  # after the thread limit: it asks JAX for its devices

    known = provenance([])
    kept = ("git_commit", "git_dirty", "python", "versions", "backend", "devices")
    return {
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int((_field(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0]) / 2**20, 1),
        "system": _system(),
        **{name: known[name] for name in kept},
        "torch": sys.modules["torch"].__version__ if "torch" in sys.modules else "",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def sentence(machine: dict[str, Any]) -> str:
    """The description in one line."""
    devices = "" if machine["backend"] == "cpu" else ", " + " + ".join(sorted(set(machine["devices"])))
    torch = f", PyTorch {machine['torch']}" if machine["torch"] else ""
    commit = machine["git_commit"][:10] + (" with changes" if machine["git_dirty"] else "")
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB{devices}; {machine['system']}; "
        f"Python {machine['python']}, JAX {machine['versions']['jax']}{torch}; commit {commit}, {machine['date']}"
    )


def utilization(flops_per_second: float, device_kind: str, compute_dtype: str) -> float | None:
    """The share of the device's peak that is used (MFU); None where the peak is not known."""
    peak = PEAK_FLOPS.get((device_kind, compute_dtype))
    return flops_per_second / peak if peak else None


def _field(path: Path, name: str) -> str:
    """The first value of a `name: value` file; "" where there is none."""
    if not path.exists():
        return ""
    found = (line.partition(":")[2].strip() for line in path.read_text().splitlines() if line.startswith(name))
    return next(found, "")


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
