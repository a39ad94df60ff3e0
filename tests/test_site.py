"""The hooks that make pages of docs/ and of docstrings: docs/site/hooks.py, without mkdocs, which no test needs."""

import re
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def hooks(monkeypatch):
    files = ModuleType("mkdocs.structure.files")
    files.File = SimpleNamespace(generated=lambda config, uri, content: SimpleNamespace(src_uri=uri, content=content))
    monkeypatch.setitem(sys.modules, "mkdocs.structure.files", files)
    for name in ("mkdocs", "mkdocs.structure"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    return SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "site" / "hooks.py")))


@pytest.mark.parametrize(
    ("source", "written", "expected"),
    [
        ("running.md", "[data](data.md#tfds)", "[data](data.md#tfds)"),
        ("index.md", "[data](docs/data.md)", "[data](data.md)"),
        ("results/README.md", "[read](../../README.md)", "[read](../index.md)"),
        ("running.md", "[options](../ctc_jax/options.py)", "`options`"),
        ("running.md", "[paper](https://arxiv.org/abs/1)", "[paper](https://arxiv.org/abs/1)"),
        ("index.md", "`[data](docs/data.md)`", "`[data](docs/data.md)`"),
        ("index.md", "```\n[data](docs/data.md)\n```", "```\n[data](docs/data.md)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site_and_code_is_left_alone(hooks, source, written, expected):
    pages = [SimpleNamespace(src_uri=uri) for uri in ("index.md", "data.md", "running.md", "results/README.md")]
    page = SimpleNamespace(file=SimpleNamespace(src_uri=source))
    assert hooks.on_page_markdown(written, page, SimpleNamespace(repo_url=None), pages) == expected


def test_what_no_page_shows_is_linked_where_the_repository_is_known(hooks):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="running.md"))
    config = SimpleNamespace(repo_url="https://example.org/ctc")
    written = hooks.on_page_markdown("[options](../ctc_jax/options.py)", page, config, [])
    assert written == "[options](https://example.org/ctc/blob/main/ctc_jax/options.py)"


def test_every_folder_has_a_page_of_docstrings_of_what_exists(hooks):
    pages = {page.src_uri: page.content for page in hooks.on_files([], None)}
    nav = hooks.on_config(SimpleNamespace(nav=["index.md"])).nav[-1]["Library"]
    assert set(nav) == {page for page in pages if page.startswith("api/")}
    folders = {path.parent.name for path in (ROOT / "ctc_jax").glob("*/__init__.py")} - {"cli"}  # a command, no library
    assert set(hooks.FOLDERS) == folders
    directives = [line for text in pages.values() for line in text.splitlines() if line.startswith("::: ctc_jax")]
    assert len(directives) > 100
    for directive in directives:
        module, _, name = directive.removeprefix("::: ").rpartition(".")
        text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        assert re.search(rf"^(class |def )?{name}\b", text, re.MULTILINE), directive
