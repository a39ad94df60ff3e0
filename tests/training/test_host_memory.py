import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import numpy as np
from ctc_jax.training.host_memory import keep_host_memory
kept = keep_host_memory() if sys.argv[1] == "keep" else None
def touch():
    for _ in range(50):
        np.ones(2**21).sum()  # 16 MiB, allocated and freed
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has this setting")
@pytest.mark.slow
def test_pages_of_freed_arrays_are_not_faulted_in_again():
    counts = {}
    for mode in ("default", "keep"):
        output = subprocess.run([sys.executable, "-c", COUNT, mode], capture_output=True, text=True, check=True).stdout
        kept, faults = output.split()
        counts[mode] = int(faults)
        assert mode == "default" or kept == "True"
    # 50 arrays of 4096 pages, or of 8 huge ones: without the setting every one is faulted in again.
    assert counts["keep"] <= counts["default"] / 4
