import pytest
from absl import flags

from ctc_jax.cli import hosts
from ctc_jax.errors import UserError


@pytest.fixture
def given(monkeypatch):
    def give(**values):
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        for name in ("distributed", "coordinator", "processes", "process"):
            monkeypatch.setattr(flags.FLAGS[name], "value", values.get(name, flags.FLAGS[name].default))

    return give


def test_a_process_alone_just_works(given):
    given(distributed=False)
    assert hosts.together(lambda: 7) == 7


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"processes": 2}, "--processes is for --distributed"),
        ({"distributed": True, "coordinator": "a:1", "process": 0}, "--coordinator goes with"),
        (
            {"distributed": True, "coordinator": "a:1", "processes": 2, "process": 2},
            "--process is 2; allowed: 0 to 1, with --processes=2",
        ),
        (
            {"distributed": True, "coordinator": "a", "processes": 2, "process": 1},
            "--coordinator is 'a'; allowed: HOST:PORT",
        ),
    ],
)
def test_flags_that_do_not_fit_are_refused(given, values, told):
    given(**values)
    with pytest.raises(UserError, match=told):
        hosts.together(lambda: pytest.fail("not reached"))


def test_a_sweep_is_refused(given):
    given(distributed=True)
    with pytest.raises(UserError, match="for one run, not for --sweep or --search"):
        hosts.check_none()
