"""The registry as the table of docs/gradients.md; `make docs` puts it there. Tests: tests/test_docs.py."""

import dataclasses
import re
import sys
from pathlib import Path

from ctc_jax.gradients.estimator import AbstractEstimator, Nested, Score, SinglePass
from ctc_jax.gradients.registry import REGISTRY

FAMILIES = {SinglePass: "single_pass", Score: "score", Nested: "nested", AbstractEstimator: "pathwise"}
HEAD = "| `estimator.name` | unbiased | masks | rewards | family | learned |\n|---|---|---|---|---|---|"


def table() -> str:
    """Markdown: a row for each estimator, in the registry's order."""
    return "\n".join([HEAD, *(_row(name, part) for name, part in REGISTRY.items())])


def inserted(page: str) -> str:
    """The page, with its table replaced by the registry's.

    Raises:
      ValueError: it has no table with this head.
    """
    rows = re.compile(re.escape(HEAD) + r"(\n\|[^\n]*)*")
    if not rows.search(page):
        raise ValueError("the page has no table of estimators")
    return rows.sub(lambda _: table(), page, count=1)


def _row(name: str, part: type[AbstractEstimator]) -> str:
    family = next(word for base, word in FAMILIES.items() if issubclass(part, base))
    kinds = sorted(kind.name for kind in part.kinds)
    masks = "both" if len(kinds) == 2 else "".join(kinds) or "-"
    unbiased = ", if ".join(["yes", *filter(None, [part.condition])]) if part.unbiased else "no"
    chosen = "samples" in {field.name for field in dataclasses.fields(part)}
    rewards = part.cost or ("K" if chosen else str(part.samples))
    return f"| `{name}` | {unbiased} | {masks} | {rewards} | {family} | {part.learned or '-'} |"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(inserted(path.read_text()))
