"""What the README, docs/ and the notebooks say against what is there: files, config keys, names, commands."""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest

import ctc_jax
from configs import base
from ctc_jax import gradients, models
from ctc_jax.cli import modes
from ctc_jax.gradients import BERNOULLI, CATEGORICAL, MaskSite, table
from ctc_jax.options import flatten

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PICTURES = {"notebooks/explore.ipynb": 5, "notebooks/idea.ipynb": 4}
NOTEBOOKS = {name: json.loads((ROOT / name).read_text())["cells"] for name in PICTURES}
KEYS = flatten(base.get_config().to_dict())
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """The anchors a Markdown file's headings get."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def markdown(path: Path) -> str:
    return path.read_text()


def sources(name: str, *kinds: str) -> str:
    return "\n".join("".join(cell["source"]) for cell in NOTEBOOKS[name] if cell["cell_type"] in kinds)


TEXTS = {name_of(path): markdown(path) for path in DOCUMENTS}
TEXTS |= {name: sources(name, "markdown", "code") for name in NOTEBOOKS}
PYTHON = [
    *(
        (f"{name}-{n}", code)
        for name, text in TEXTS.items()
        for n, (kind, code) in enumerate(FENCE.findall(text))
        if kind == "python"
    ),
    *((name, sources(name, "code")) for name in NOTEBOOKS),
]


def test_every_local_link_leads_somewhere():
    for name in TEXTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", TEXTS[name])):
            if re.match(r"https?:", target):
                continue
            file, _, anchor = target.partition("#")
            path = (ROOT / name).parent / file if file else ROOT / name
            assert path.exists(), target
            assert not anchor or anchor in anchors(path.read_text()), target


def test_every_file_of_the_project_that_is_named_exists():
    for name in TEXTS:
        for path in re.findall(r"\b(?:configs|ctc_jax|benchmarks|tests)/[a-z0-9_/]+\.py\b", TEXTS[name]):
            assert (ROOT / path).exists(), path


def test_every_config_key_that_is_named_exists():
    for name in TEXTS:
        text = TEXTS[name]
        typed = re.findall(r"--config\.([a-z0-9_.]+)", text)
        quoted = re.findall(
            rf"`((?:{'|'.join(section.key for section in base.SECTIONS)})\.[a-z0-9_.]+)(?:=[^`]*)?`", text
        )
        for key in {*typed, *quoted} - {"report.html"}:
            assert key in KEYS, key


def test_every_launch_line_names_an_experiment_preset_and_mode_that_exist():
    for name in TEXTS:
        for path, preset in re.findall(r"--config=(configs/[a-z0-9_]+)\.py(?::(\w+))?", TEXTS[name]):
            module = importlib.import_module(path.replace("/", "."))
            assert module.get_config(preset)
        for mode in re.findall(r"--mode=(\w+)", TEXTS[name]):
            assert mode in modes.MODES


@pytest.mark.parametrize(("name", "code"), PYTHON, ids=[name for name, _ in PYTHON])
def test_a_python_block_compiles_and_what_it_imports_exists(name, code):
    tree = ast.parse(code, name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                found = hasattr(module, alias.name)
                assert found or importlib.import_module(f"{node.module}.{alias.name}"), alias.name


@pytest.mark.slow
def test_the_python_of_the_readme_says_that_a_sample_is_likelier_than_the_mean():
    (code,) = [code for kind, code in FENCE.findall(TEXTS["README.md"]) if kind == "python"]
    names = {}
    exec(code, names)
    nats, choices = np.asarray(names["nats"]), np.asarray(names["choices"])
    assert nats[:4].min() > nats[4] + 1_000
    assert {sample.tobytes() for sample in np.asarray(names["samples"]) > 100} == {
        (choices[..., k, :] > 100).tobytes() for k in (0, 1)
    }


def test_the_readme_is_short_and_names_every_page():
    text = TEXTS["README.md"]
    assert len(text.splitlines()) <= 120
    for page in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{page.name})" in text, page.name


def test_contributing_has_a_skeleton_for_each_registry():
    text = TEXTS["CONTRIBUTING.md"]
    for registry in sorted((ROOT / "ctc_jax").glob("*/registry.py")):
        assert f"({registry.relative_to(ROOT)})" in text, registry
    for file in (ROOT / "docs" / "skeletons").iterdir():
        assert f"(docs/skeletons/{file.name})" in text, file


def test_what_is_cited_is_the_version_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {ctc_jax.__version__}\n" in citation
    assert f'\nversion = "{ctc_jax.__version__}"\n' in (ROOT / "pyproject.toml").read_text()


def test_the_page_on_running_has_a_table_row_for_each_mode():
    for name in modes.MODES:
        assert re.search(rf"^\| `{name}`", TEXTS["docs/running.md"], re.MULTILINE), name


def test_there_is_no_other_notebook():
    assert {name_of(path) for path in (ROOT / "notebooks").glob("*.ipynb")} == {*NOTEBOOKS}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_executed_without_errors_and_without_paths_of_a_machine(name):
    code = [cell for cell in NOTEBOOKS[name] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == PICTURES[name]
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    assert not re.search(r"/(home|tmp|root|work)/", printed)


def test_the_page_on_gradients_has_the_table_that_make_docs_writes():
    page = TEXTS["docs/gradients.md"]
    assert table.inserted(page) == page, "run make docs"
    with pytest.raises(ValueError, match="no table"):
        table.inserted("a page without")


@pytest.mark.parametrize("name", gradients.REGISTRY)
def test_rewards_in_words_are_those_in_numbers(name):
    part = gradients.REGISTRY[name]()
    kind = BERNOULLI if part.kinds == {BERNOULLI} else CATEGORICAL
    site = MaskSite("code", kind, (5,) if kind == BERNOULLI else (5, 4), valued=False)
    symbols = {"D": 5, "C": site.categories, "K": part.samples, "flips": getattr(part, "flips", 0)}
    words = re.search(rf"^\| `{name}` \|(?: [^|]+ \|){{2}} ([^|,]+)", table.table(), re.MULTILINE)[1]
    formula = words.strip().replace("^", "**").replace(" (", " * (")
    assert eval(formula, symbols) == part.rewards(site)


def test_the_page_on_extending_has_what_every_model_answers():
    """A model written after it is called with every one of these."""
    for name in ("init", "infer", "bound", "joint", "generate", "decode"):
        parameters = list(inspect.signature(getattr(models.Model, name)).parameters.values())[1:]
        assert f"`{name}({', '.join(one.name for one in parameters)})`" in TEXTS["docs/extending.md"], name
