import math

import numpy as np
import pytest

from ctc_jax.reporting.units import describe, format_number, split_unit


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bound_bpd", ("bound", "bpd")),
        ("elbo_nats", ("elbo", "nats")),
        ("kl_nats/top", ("kl top", "nats")),
        ("kl_nats/level_2/block", ("kl level 2 block", "nats")),
        ("images_per_second", ("", "images/s")),
        ("peak_memory_mib", ("peak memory", "MiB")),
        ("spectrum_distance_decades/samples", ("spectrum distance samples", "decades")),
        ("active_units", ("active units", "")),
        ("gap/best_elbo_nats", ("gap best elbo", "nats")),
        ("frechet/pixels/samples", ("frechet pixels samples", "")),
    ],
)
def test_unit_is_split_from_the_name(name, expected):
    assert split_unit(name) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (4.81234, "bpd", "4.812"),
        (np.float32(-10246.25), "nats", "-10,246.25"),
        (48.1, "nats", "48.10"),
        (312.4, "images/s", "312"),
        (3.5, "images/s", "3.500"),
        (97, "", "97"),
        (1_234_567, "", "1,234,567"),
        (0.0, "nats", "0"),
        (0.05, "nats", "0.0500"),
        (2e-5, "", "2.000e-05"),
        (math.nan, "bpd", "nan"),
        ("cifar10", "", "cifar10"),
    ],
)
def test_number_is_written_to_four_digits(value, unit, expected):
    assert format_number(value, unit) == expected


def test_metric_reads_as_a_phrase():
    assert describe("bound_bpd", 4.812) == "bound 4.812 bpd"
    assert describe("images_per_second", 312.0) == "312 images/s"


def test_the_longer_unit_wins():
    assert describe("multimodality_gap_nats_per_dimension", 0.5) == "multimodality gap 0.5000 nats a dimension"
