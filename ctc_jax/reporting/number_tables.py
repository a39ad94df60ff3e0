"""Numbers that belong together by their names, as tables and cards. Tests: test_number_tables.py.

`kl_nats/top` is the number `kl_nats` of `top`, `frechet/pixels/samples` the number `frechet` of `pixels/samples`.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import SupportsFloat

from ctc_jax.reporting.units import format_number, split_unit


def numbers(summary: Mapping[str, SupportsFloat | str]) -> str:
    """Cards of the numbers of the whole, then a table of those of parts, for each set of parts.

    Args:
      summary: numbers by name; the unit is in the name, for example `bound_bpd`.
    """
    if not summary:
        return '<p class="none">No numbers yet.</p>'
    parts = [_cards({name: value for name, value in summary.items() if "/" not in name})]
    for measures, rows in by_parts(summary):
        cells = [
            [html.escape(_part(row)), *(cell(summary.get(name), name) for name in (f"{of}/{row}" for of in measures))]
            for row in rows
        ]
        parts.append(wide_table(["", *map(heading, measures)], cells))
    return "\n".join(parts)


def by_parts(names: Iterable[str]) -> list[tuple[list[str], list[str]]]:
    """Measures and the parts they are of, `a/b` being measure a of part b; measures share a table if parts do.

    Names without a slash have no part. Measures and parts come in the order of the names.
    """
    parts: dict[str, list[str]] = {}
    for name in names:
        measure, slash, part = name.partition("/")
        if slash:
            parts.setdefault(measure, []).append(part)
    tables: list[tuple[list[str], list[str]]] = []
    for measure, of in parts.items():
        joined = [table for table in tables if set(table[1]) & set(of)]
        measures = [measure for table in joined for measure in table[0]] + [measure]
        rows = list(dict.fromkeys([row for table in joined for row in table[1]] + of))
        if joined:
            tables[tables.index(joined[0])] = measures, rows
            tables = [table for table in tables if table not in joined[1:]]
        else:
            tables.append((measures, rows))
    return tables


def wide_table(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table that scrolls sideways where the page is narrower.

    Args:
      headings: of the columns, text.
      cells: a sequence a row, HTML.
    """
    head = "".join(f"<th>{html.escape(words)}</th>" for words in headings)
    lines = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def heading(name: str) -> str:
    """A number's name in words, with its unit: `kl_nats` is "kl (nats)"."""
    words, unit = split_unit(name)
    return f"{words} ({unit})" if words and unit else words or unit


def cell(value: SupportsFloat | str | None, name: str) -> str:
    """A number as HTML, by the unit in its name; "" where there is none."""
    return "" if value is None else html.escape(format_number(value, split_unit(name)[1]))


def _cards(summary: Mapping[str, SupportsFloat | str]) -> str:
    cards = []
    for name, value in summary.items():
        words, unit = split_unit(name)
        number, label = html.escape(format_number(value, unit)), html.escape(words or "speed")
        cards.append(f'<div><dt>{label}</dt><dd>{number} <span class="unit">{html.escape(unit)}</span></dd></div>')
    return f'<dl class="numbers">{"".join(cards)}</dl>' if cards else ""


def _part(name: str) -> str:
    return ", ".join(map(heading, name.split("/")))
