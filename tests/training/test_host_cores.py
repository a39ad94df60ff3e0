import os
import subprocess
import sys

import jaxlib.version
import pytest

from ctc_jax.sums import FUSION_FLAG
from ctc_jax.training.host_cores import DEVICES_FLAG, host_devices

SUMS = f"{FUSION_FLAG}=-reduce"
KEPT = f"{SUMS},-individual_convolution"

# A machine of eight cores with a chosen jaxlib.
REPORT = """
import os, sys
import jax, jaxlib.version
from ctc_jax.training.host_cores import use_host_cores
os.sched_getaffinity = lambda process: range(8)
jaxlib.version.__version_info__ = (0, int(sys.argv[2]), 0)
use_host_cores(int(sys.argv[1]), int(sys.argv[3]))
print(jax.device_count(), os.environ.get("XLA_FLAGS", ""))
"""

CONVOLUTION = """
import os
import jax, jax.numpy as jnp
from ctc_jax.training.host_cores import use_host_cores
os.sched_getaffinity = lambda process: range(8)
use_host_cores(1, 64)
images, kernel = jnp.ones((8, 32, 16, 16)), jnp.ones((32, 32, 3, 3))
step = jax.jit(lambda *of: jax.lax.conv_general_dilated(*of, (1, 1), "SAME"))
print("ynn" in step.lower(images, kernel).compile().as_text())
"""


def run(program: str, *arguments: str, **variables: str) -> str:
    own = {key: value for key, value in os.environ.items() if key not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=own | variables, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("cores", "batch_size", "devices"),
    [
        (1, 64, 1),
        (2, 64, 2),
        (2, 48, 2),
        (2, 33, 1),
        (3, 96, 3),
        (3, 64, 2),
        (8, 64, 4),
        (8, 128, 8),
        (96, 128, 8),
        (8, 8, 1),
    ],
)
def test_devices_share_the_batch_equally_in_shares_worth_it(cores, batch_size, devices):
    assert host_devices(cores, batch_size) == devices


@pytest.mark.parametrize(
    ("asked", "minor", "variables", "expected"),
    [
        ("0", "10", {}, f"4 {KEPT}"),
        ("0", "11", {}, f"4 {SUMS}"),
        ("8", "10", {}, f"8 {SUMS}"),
        ("1", "10", {}, f"1 {KEPT}"),
        ("0", "10", {"XLA_FLAGS": f"{FUSION_FLAG}=individual_dot"}, f"4 {FUSION_FLAG}=individual_dot"),
        ("0", "10", {"JAX_NUM_CPU_DEVICES": "3"}, f"3 {KEPT}"),
        ("0", "10", {"XLA_FLAGS": f"{DEVICES_FLAG}=3"}, f"3 {DEVICES_FLAG}=3 {SUMS}"),
    ],
)
@pytest.mark.slow
def test_what_is_chosen_by_itself_and_what_was_chosen_before_stays(asked, minor, variables, expected):
    known = jaxlib.version.__version_info__[:2] == (0, 10)
    if not known and FUSION_FLAG in expected:
        pytest.skip("the flag belongs to jaxlib 0.10")
    assert run(REPORT, asked, minor, "64", **variables) == expected


@pytest.mark.skipif(jaxlib.version.__version_info__[:2] != (0, 10), reason="only jaxlib 0.10 needs it")
def test_convolutions_of_a_device_with_several_cores_are_not_handed_to_ynnpack():
    assert run(CONVOLUTION) == "False"


def test_once_jax_has_computed_nothing_changes():
    program = "import jax\njax.numpy.zeros(1).block_until_ready()\n" + REPORT
    assert run(program, "0", "10", "64").split()[0] == "1"
