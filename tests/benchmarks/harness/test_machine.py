import os

from benchmarks.harness import machine


def test_description_names_what_a_figure_depends_on():
    described = machine.describe()
    assert described["cores"] == len(os.sched_getaffinity(0))
    page_bytes, pages = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    assert abs(described["memory_gib"] - page_bytes * pages / 2**30) < 0.1
    assert f"JAX {described['versions']['jax']}" in machine.sentence(described)


def test_utilization_is_a_share_of_the_known_peak_and_none_elsewhere():
    kind, dtype = next(iter(machine.PEAK_FLOPS))
    assert machine.utilization(machine.PEAK_FLOPS[kind, dtype] / 4, kind, dtype) == 0.25
    assert machine.utilization(1e12, "unheard of", dtype) is None
