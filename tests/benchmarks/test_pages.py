"""The measured figures in docs/results: small, and nothing that no page shows."""

import ast
import re

from benchmarks.harness.machine import ROOT
from benchmarks.harness.pictures import MOST_BYTES
from benchmarks.harness.results import RESULTS

FILES = [path for path in RESULTS.rglob("*") if path.is_file()]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


def test_no_file_is_above_150_kb_and_all_together_are_below_5_mb():
    sizes = {path: path.stat().st_size for path in FILES}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}
    assert sum(sizes.values()) <= 5_000_000


def test_every_kept_picture_is_shown_by_a_page_and_every_shown_one_is_kept():
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())
    }
    kept = {path.resolve() for path in FILES if path.suffix == ".png"}
    assert {path for path in shown if path.is_relative_to(RESULTS)} == kept
    assert {path.suffix for path in FILES} == {".md", ".json", ".png"}


def test_names_have_no_marks_that_a_shell_or_an_address_would_quote():
    assert [path.name for path in FILES if not re.fullmatch(r"[\w.-]+", path.name)] == []


def test_every_command_names_a_module_that_runs():
    for page in PAGES:
        for name in re.findall(r"python -m (benchmarks[\w.]*)", page.read_text()):
            module = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            assert module.exists(), f"{page}: {name}"
            assert "__main__" in ast.unparse(ast.parse(module.read_text()).body[-1]), name
