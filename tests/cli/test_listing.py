import re

import pytest

from configs import base
from ctc_jax.cli.listing import _sentence, listing, presets
from tests.test_configs import EXPERIMENTS, ROOT
from tests.test_configs import presets as handed_over

LINES = listing(ROOT / "configs", base.SECTIONS).splitlines()


@pytest.mark.parametrize("stem", EXPERIMENTS)
def test_presets_are_those_that_an_experiment_has(stem):
    assert sorted(presets(ROOT / "configs" / f"{stem}.py")) == sorted({*handed_over(EXPERIMENTS[stem])} - {""})


def test_every_experiment_sweep_and_part_has_a_line_that_says_what_it_is():
    names = [*EXPERIMENTS, *(path.stem for path in (ROOT / "configs" / "sweeps").glob("*.py"))]
    names += [name for section in base.SECTIONS for name in section.registry]
    for name in names:
        (told, *_) = [line for line in LINES if re.match(rf"  {name} ", line)]
        assert len(told.split()) > 3, told
        assert "Options of" not in told, told


def test_lines_fit_a_terminal():
    assert max(map(len, LINES)) <= 120


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("One sentence. Tests: test_it.py.", "One sentence"),
        ("By Kingma et al. 2014,\non two lines.\n\nMore.", "By Kingma et al. 2014, on two lines"),
        ("`z` of 0.5 and more", "`z` of 0.5 and more"),
    ],
)
def test_the_first_sentence(text, told):
    assert _sentence(text) == told
