"""The parts that docs/extending.md and docs/skeletons write out, as the modules that a reader would make of them."""

import re
import sys
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parents[1] / "docs"


def documented(needle: str) -> ModuleType:
    """The block of Python that contains `needle`, run; the module stays importable, as dataclasses need it."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "extending.md").read_text(), re.DOTALL)
    (code,) = [block for block in blocks if needle in block]
    return _module(f"documented_{needle.rpartition(' ')[2].lower()}", code)


def skeleton(name: str) -> ModuleType:
    """The file of that name in docs/skeletons, run."""
    return _module(f"skeleton_{name}", (DOCS / "skeletons" / f"{name}.py").read_text())


def _module(name: str, code: str) -> ModuleType:
    module = ModuleType(name)
    sys.modules[module.__name__] = module
    exec(compile(code, f"{module.__name__}.py", "exec"), module.__dict__)
    return module
