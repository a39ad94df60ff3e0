"""What the founding claim's pages say of each claim on every dataset, beside one another.

Reads what founding_claim.py wrote beside --output; a dataset without a page has no column.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.claims.founding import DATASETS, JUDGES, VERDICTS, plus_minus
from benchmarks.harness.results import parser, write


def beside(
    pages: Mapping[str, Sequence[Mapping[str, Any]]], name: str, cell: Callable[[Mapping[str, Any]], str | None]
) -> list[dict[str, str | None]]:
    """The rows of one table of several datasets, with a column for each dataset; None where one has no such row.

    Args:
      pages: the rows by dataset.
      name: what tells rows apart.
      cell: what a row has in its dataset's column.
    """
    names = list(dict.fromkeys(row[name] for rows in pages.values() for row in rows))
    found = {(dataset, row[name]): cell(row) for dataset, rows in pages.items() for row in rows}
    return [{name: each, **{dataset: found.get((dataset, each)) for dataset in pages}} for each in names]


def bound(row: Mapping[str, Any]) -> str:
    """Mean and standard error."""
    return plus_minus(row["bound_bpd"], row["error of the bound_bpd"], 4)


def main() -> None:
    """Tabulates."""
    flags = parser(__doc__, "founding_claim")
    arguments = flags.parse_args()
    tables = {}
    for dataset in DATASETS:
        path = arguments.output.with_name(f"{arguments.output.stem}_{dataset}.json")
        if path.exists():
            tables[dataset] = json.loads(path.read_text())["tables"]
    if not tables:
        sys.exit(f"error: no page of the founding claim in {arguments.output.parent}; founding_claim.py writes them")
    made = {"bounds, bpd": beside({dataset: of["bounds"] for dataset, of in tables.items()}, "row", bound)}
    claims = {dataset: of["claims"] for dataset, of in tables.items()}
    for judge in JUDGES:
        made[f"claims by {judge.replace('_', ', ')}"] = beside(claims, "claim", lambda row, judge=judge: row.get(judge))
    write(arguments.output, "The founding claim on all datasets", made, NOTES)


NOTES = [VERDICTS, "No distance is comparable with Inception scores. The datasets' own pages have all figures."]


if __name__ == "__main__":
    main()
