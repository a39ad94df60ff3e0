"""What mkdocs.yml adds to docs/: the README, CONTRIBUTING, docstrings by folder. Tests: tests/test_site.py."""

import ast
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
COPIED = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md"}
FOLDERS = (
    "distributions",
    "likelihoods",
    "gradients",
    "posteriors",
    "layers",
    "models",
    "objectives",
    "inference",
    "evaluation",
    "training",
    "data",
    "sweeps",
    "runs",
    "reporting",
)
LINK = re.compile(r"(!?)\[([^\]]+)\]\(([^)\s]+)\)")
# What is not to be touched: code, in blocks and in lines.
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def on_config(config):
    """Adds the pages of docstrings to the navigation."""
    config.nav = [*config.nav, {"Library": ["api/index.md", *(f"api/{folder}.md" for folder in FOLDERS)]}]
    return config


def on_files(files, config):
    """Adds the pages that docs/ does not have."""
    pages = {page: (ROOT / source).read_text() for page, source in COPIED.items()}
    pages["api/index.md"] = "# Library\n\n::: ctc_jax.run.load\n\n::: ctc_jax.run.Run\n"
    for folder in FOLDERS:
        pages[f"api/{folder}.md"] = f"# ctc_jax.{folder}\n\n" + "\n\n".join(_exported(folder))
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links from the page's own place; what no page shows is named and not linked, unless a repository is known."""
    source = COPIED.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    pages = {_source(file.src_uri): file.src_uri for file in files}

    def linked(match):
        mark, text, target = match.groups()
        path, hashed, anchor = target.partition("#")
        if not path or re.match(r"\w+:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if path in pages:
            here = posixpath.dirname(page.file.src_uri) or "."
            return f"{mark}[{text}]({posixpath.relpath(pages[path], here)}{hashed}{anchor})"
        return f"[{text}]({config.repo_url}/blob/main/{path})" if config.repo_url else f"`{text.strip('`')}`"

    parts, last = [], 0
    for code in CODE.finditer(markdown):
        parts += [LINK.sub(linked, markdown[last : code.start()]), code[0]]
        last = code.end()
    return "".join([*parts, LINK.sub(linked, markdown[last:])])


def _source(page: str) -> str:
    return COPIED.get(page, f"docs/{page}")


def _exported(folder: str) -> list[str]:
    """A directive for each class and function that `__init__.py` takes from its folder, in alphabetical order."""
    tree = ast.parse((ROOT / "ctc_jax" / folder / "__init__.py").read_text())
    own = f"ctc_jax.{folder}"
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module.startswith(own)]
    origins = {alias.name: f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    return [f"::: {origins[name]}" for name in sorted(origins, key=str.lower) if not name.isupper()]
