"""A table whose rows a click on a heading sorts. Tests: test_sortable_table.py; tests/sweeps/test_page.py clicks."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

# In the page once, after its tables. Cells without a value, and NaN, come last either way.
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const key = (row, column) => {
    const value = row.cells[column].dataset.value;
    return value === undefined ? row.cells[column].textContent : value === "" ? NaN : Number(value);
  };
  const last = value => value === "" || Number.isNaN(value);
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const now = heading.getAttribute("aria-sort");
    const order = now ? (now === "ascending" ? "descending" : "ascending") : heading.dataset.first;
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].sort((one, other) => {
      const [a, b] = [key(one, column), key(other, column)];
      if (last(a) || last(b)) return last(a) - last(b);
      return sign * (typeof a === typeof b && typeof a === "number" ? a - b : String(a).localeCompare(String(b)));
    });
    body.append(...rows);
  }));
}
"""
STYLE = """
.sortable { border-collapse: separate; border-spacing: 0 }
.sortable th button { all: unset; cursor: pointer; color: var(--soft) }
.sortable th button:focus-visible { outline: 2px solid var(--train) }
.sortable th button::after { content: " \\2195"; opacity: .45 }
.sortable th[aria-sort=ascending] button::after { content: " \\2191"; opacity: 1 }
.sortable th[aria-sort=descending] button::after { content: " \\2193"; opacity: 1 }
.sortable tr > :first-child { position: sticky; left: 0; background: var(--paper); white-space: normal;
  min-width: min(17rem, 36vw); max-width: 24rem }
.sortable .best { font-weight: 700 }
.sortable .best::after { content: " \\2605"; color: var(--validation) }
"""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
      heading: its words.
      better: 1 where the highest number is the best, -1 where the lowest is, 0 where none is.
    """

    heading: str
    better: int = 0


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
      content: HTML.
      value: the number by which it is sorted, NaN for none; None sorts by the words.
      counts: whether it may be the best of its column.
    """

    content: str
    value: float | int | None = None
    counts: bool = True


def sortable_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    """The table, with the best number of each column marked; it scrolls sideways, its first column stays."""
    best = [_best(column, [row[place] for row in rows]) for place, column in enumerate(columns)]
    head = "".join(
        f'<th data-first="{"descending" if column.better > 0 else "ascending"}">'
        f'<button type="button">{html.escape(column.heading)}</button></th>'
        for column in columns
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, top) for cell, top in zip(row, best, strict=True)) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _best(column: Column, cells: Sequence[Cell]) -> float | int | None:
    """None where there is nothing to compare."""
    values = [cell.value for cell in cells if cell.counts and cell.value is not None and math.isfinite(cell.value)]
    if not column.better or len(values) < 2:
        return None
    return max(values) if column.better > 0 else min(values)


def _cell(cell: Cell, best: float | int | None) -> str:
    value = ""
    if cell.value is not None:
        value = ' data-value=""' if math.isnan(cell.value) else f' data-value="{cell.value!r}"'
    marked = ' class="best"' if best is not None and cell.counts and cell.value == best else ""
    return f"<td{value}{marked}>{cell.content}</td>"
