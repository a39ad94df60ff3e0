import pytest

from ctc_jax.errors import ConfigError
from ctc_jax.reporting import SECTION, ReportOptions


def test_the_section_of_the_defaults_reads_back_as_the_options():
    assert SECTION.read_shared(SECTION.defaults()) == ReportOptions()


def test_what_does_not_fit_names_its_key():
    with pytest.raises(ConfigError, match=r"report\.tensorboard is 'yes'; allowed: True or False"):
        SECTION.read_shared({"tensorboard": "yes"})
