"""The parts that docs/extending.md writes out, as the modules that a reader would make of them."""

import re
import sys
from pathlib import Path
from types import ModuleType

EXTENDING = Path(__file__).parents[1] / "docs" / "extending.md"


def documented(needle: str) -> ModuleType:
    """The block of Python that contains `needle`, run; the module stays importable, as dataclasses need it."""
    blocks = re.findall(r"```python\n(.*?)```", EXTENDING.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if needle in block]
    module = ModuleType(f"documented_{needle.rpartition(' ')[2].lower()}")
    sys.modules[module.__name__] = module
    exec(compile(code, f"{module.__name__}.py", "exec"), module.__dict__)
    return module
