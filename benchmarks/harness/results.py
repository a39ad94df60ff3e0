"""A benchmark's table, as JSON and as Markdown. Tests: tests/benchmarks/harness/test_results.py."""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import ROOT, describe, sentence
from ctc_jax.reporting.units import format_number, split_unit

RESULTS = ROOT / "docs" / "results"


def parser(description: str, page: str) -> argparse.ArgumentParser:
    """Flags of every benchmark.

    Args:
      description: the module's docstring.
      page: the page's name in docs/results.
    """
    flags = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--output", type=Path, default=RESULTS / f"{page}.json", help="JSON file; a .md file joins it")
    flags.add_argument("--threads", type=int, default=0, help="cores to use; 0 is all")
    return flags


def write(output: Path, title: str, tables: Mapping[str, Sequence[Mapping[str, Any]]], notes: Sequence[str] = ()):
    """Writes the JSON and Markdown files and prints the latter.

    Args:
      output: the JSON file.
      title: of the page.
      tables: heading ("" for none) -> rows; a row is a dictionary whose names carry their units.
      notes: paragraphs after the tables.
    """
    module = ".".join(Path(sys.argv[0]).with_suffix("").parts[-3:])
    machine, command = describe(), shlex.join(["python", "-m", module, *sys.argv[1:]])
    output.parent.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "machine": machine, "tables": tables, "notes": list(notes)}
    output.write_text(json.dumps(content) + "\n")
    parts = [f"# {title}", f"    {command}", sentence(machine) + "."]
    for heading, rows in tables.items():
        parts += [f"## {heading}"] if heading else []
        parts.append(markdown(rows))
    page = "\n\n".join([*parts, *notes]) + "\n"
    output.with_suffix(".md").write_text(page)
    print(page)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table whose columns are all names that occur, in order of appearance; an absent entry is a dash."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    heads = [", ".join(part for part in split_unit(name) if part) for name in names]
    numeric = [any(isinstance(row.get(name), int | float) for row in rows) for name in names]
    lines = [heads, ["---:" if right else "---" for right in numeric]]
    lines += [[_cell(name, row.get(name)) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(name: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return format_number(value, split_unit(name)[1])
