"""What can be named on the command line: `ctc-jax --list`. Tests: tests/cli/test_listing.py.

Experiments and sweeps are told by the first sentence of their files, presets by the commands written there. Parts are
told by the first sentence of their module, or of their class if the module has several.
"""

import ast
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ctc_jax.options import Section

WIDTH = 118


def listing(folder: Path, sections: Iterable[Section]) -> str:
    """Experiments with presets, sweeps, searches, and the names that each section of a config takes, one line each.

    Args:
      folder: with the experiments, in `sweeps` the sweeps and in `searches` the searches.
      sections: of the config.
    """
    blocks = [("experiments: --config=configs/NAME.py, or NAME.py:PRESET", _experiments(folder))]
    blocks.append(("sweeps: --sweep=configs/sweeps/NAME.py", _files(folder / "sweeps", "get_overrides")))
    blocks.append(("searches: --search=configs/searches/NAME.py", _files(folder / "searches", "suggest")))
    blocks += [(f"--config.{section.key}.name", _parts(section)) for section in sections if section.registry]
    return "\n\n".join("\n".join([heading, *lines]) for heading, lines in blocks)


def presets(path: Path) -> list[str]:
    """The presets of an experiment, in the order of the commands in its docstring."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return list(dict.fromkeys(re.findall(rf"--config=configs/{path.name}:(\w+)", text)))


def _experiments(folder: Path) -> list[str]:
    lines = []
    for line, name in zip(_files(folder, "get_config"), _names(folder, "get_config"), strict=True):
        lines.append(line)
        if found := presets(folder / f"{name}.py"):
            lines += textwrap.wrap(
                f"presets: {', '.join(found)}", WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 8
            )
    return lines


def _files(folder: Path, function: str) -> list[str]:
    docs = {
        name: ast.get_docstring(ast.parse((folder / f"{name}.py").read_text())) for name in _names(folder, function)
    }
    return _lines({name: _sentence(doc or "") for name, doc in docs.items()})


def _names(folder: Path, function: str) -> list[str]:
    """Files that define the function; `base` is what all experiments begin with."""
    paths = [path for path in sorted(folder.glob("*.py")) if path.stem != "base"]
    return [path.stem for path in paths if f"def {function}(" in path.read_text()]


def _parts(section: Section) -> list[str]:
    shared = Counter(part.__module__ for part in section.registry.values())
    told = {}
    for name, part in section.registry.items():
        own = shared[part.__module__] > 1 or part.__base__.__module__ == part.__module__
        told[name] = _sentence((part if own else sys.modules[part.__module__]).__doc__ or "")
    return _lines(told)


def _lines(told: dict[str, str]) -> list[str]:
    width = max(map(len, told), default=0)
    room = WIDTH - width - 4
    return [f"  {name:{width}}  {textwrap.shorten(text, room, placeholder=' ...')}" for name, text in told.items()]


def _sentence(text: str) -> str:
    """The first one, without the note on tests."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return re.split(r"(?<!\bal)\.(?= [A-Z`]|$)", paragraph)[0]
