"""What the founding claim's pages say of each claim on every dataset, beside one another.

Reads what founding_claim.py wrote beside --output; a dataset without a page has no column.
"""

import json
import sys
from collections.abc import Mapping, Sequence

from founding_claim import DATASETS, JUDGES, plus_minus
from results import RESULTS, parser, write


def bounds(pages: Mapping[str, Sequence[Mapping[str, float | str]]]) -> list[dict[str, str]]:
    """A row for each row of the experiment, with a column for each dataset: mean and standard error.

    Args:
      pages: the rows of the table of bounds, by dataset.
    """
    names = list(dict.fromkeys(row["row"] for rows in pages.values() for row in rows))
    found = {(dataset, row["row"]): row for dataset, rows in pages.items() for row in rows}
    return [{"row": name, **{dataset: _bound(found.get((dataset, name))) for dataset in pages}} for name in names]


def _bound(row):
    return plus_minus(row["bound_bpd"], row["error of the bound_bpd"], 4) if row else "-"


def across(pages: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, list[dict[str, str]]]:
    """By judge: a row for each claim, with a column for each dataset.

    Args:
      pages: the rows of the table of claims, by dataset.
    """
    claims = list(dict.fromkeys(row["claim"] for rows in pages.values() for row in rows))
    found = {(dataset, row["claim"]): row for dataset, rows in pages.items() for row in rows}
    made = {}
    for judge in JUDGES:
        lines = [{"claim": claim, **_by_dataset(pages, found, claim, judge)} for claim in claims]
        made[judge.replace("_", ", ")] = lines
    return made


def _by_dataset(pages, found, claim, judge):
    return {dataset: found.get((dataset, claim), {}).get(judge, "-") for dataset in pages}


def main() -> None:
    """Tabulates."""
    flags = parser(__doc__, __file__)
    flags.set_defaults(output=RESULTS / "founding_claim.json")
    arguments = flags.parse_args()
    tables = {}
    for dataset in DATASETS:
        path = arguments.output.with_name(f"{arguments.output.stem}_{dataset}.json")
        if path.exists():
            tables[dataset] = json.loads(path.read_text())["tables"]
    if not tables:
        sys.exit(f"error: no page of the founding claim in {arguments.output.parent}; founding_claim.py writes them")
    made = {"bounds, bpd": bounds({dataset: of["bounds"] for dataset, of in tables.items()})}
    claims = across({dataset: of["claims"] for dataset, of in tables.items()})
    made |= {f"claims by {judge}": rows for judge, rows in claims.items()}
    write(arguments.output, "The founding claim on all datasets", made, NOTES)


NOTES = [
    "How much less a claim's first row has than its second with the same seed: mean and standard error over seeds. "
    "Better or worse where Student's interval of 95% leaves out 0, which takes 4.3 errors of three seeds, else "
    "undecided. No distance is comparable with Inception scores. The datasets' own pages have all figures.",
]


if __name__ == "__main__":
    main()
