"""Keeps sums on CPUs right. Floor 0. Tests: tests/test_sums.py."""

import os

import jaxlib.version

FUSION_FLAG = "--xla_cpu_experimental_ynn_fusion_type"


def keep_sums_right() -> None:
    """Keeps XLA's CPU backend of jaxlib 0.10 and 0.11 from handing sums to YNNPACK.

    jaxlib 0.10.2 computes `sum(w * z, axis=-1) + b`, with b broadcast along the batch, wrongly from 32,769 results on,
    and says nothing (jax issue 39103); 0.12 is right. What XLA_FLAGS says of it already stays. To be called before JAX
    computes anything: afterwards it changes nothing.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if (0, 10) <= jaxlib.version.__version_info__[:2] <= (0, 11) and FUSION_FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {FUSION_FLAG}=-reduce".strip()
