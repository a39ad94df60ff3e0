"""One self-contained HTML page about a run: no script, nothing loaded from elsewhere. Tests: test_page.py."""

import base64
import dataclasses
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

from ctc_jax import process
from ctc_jax.options import flatten
from ctc_jax.reporting.curves import draw_curves
from ctc_jax.reporting.latent_groups import grouped
from ctc_jax.reporting.number_tables import numbers
from ctc_jax.whole_file import replaced

REPORT = "report.html"  # its name in the directory of a run
STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #5b6570; --paper: #ffffff; --card: #f3f5f7; --line: #d9dee3 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e7eb; --soft: #9aa5b1; --paper: #14181d; --card: #1f252c; --line: #353d46 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 62rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; padding-top: .7rem; border-top: 1px solid var(--line) }
.numbers { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: .6rem; margin: 0 }
.numbers div { background: var(--card); border-radius: .5rem; padding: .6rem .8rem }
.numbers dt { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere }
.numbers dd { margin: 0; font-size: 1.2rem; font-weight: 600; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere }
.numbers .unit { font-size: .85rem; font-weight: 400; color: var(--soft) }
figure { margin: 0 0 1.4rem }
figcaption { color: var(--soft); margin-bottom: .35rem }
img { display: block; max-width: 100%; height: auto; border-radius: .3rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; vertical-align: top; padding: .22rem .8rem .22rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere }
th { font-weight: 400; color: var(--soft); width: 45% }
td { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, monospace; font-size: .85rem }
a { color: inherit }
.wide { overflow-x: auto; margin-top: 1rem }
.wide table { width: auto }
.wide th, .wide td { width: auto; white-space: nowrap; overflow-wrap: normal }
pre { background: var(--card); border-radius: .5rem; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .85rem }
.none { color: var(--soft) }
"""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG or GIF file and the words above it."""

    caption: str
    path: Path


def write_report(
    path: Path,
    *,
    title: str,
    summary: Mapping[str, SupportsFloat | str],
    history: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    pictures: Sequence[Picture],
    notes: Sequence[str] = (),
) -> None:
    """Writes the page: numbers, notes, pictures, curves, command, config, provenance.

    Args:
      path: the HTML file; replaced in one move.
      title: the page's heading.
      summary: numbers by name, as `numbers` shows them.
      history: what `read_history` returns.
      config: nested keys; shown flat, with dots.
      provenance: nested keys; `command` is shown as the command that reproduces the run.
      pictures: shown in order.
      notes: sentences below the numbers.
    """
    command = provenance.get("command")
    rest = {key: value for key, value in provenance.items() if key != "command"}
    body = [
        f"<h1>{_escape(title)}</h1>",
        numbers(grouped(summary)),
        *(f"<p>{_escape(note)}</p>" for note in notes),
        "<h2>Pictures</h2>" if pictures else "",
        *(_figure(of.caption, of.path.read_bytes(), kind=of.path.suffix[1:]) for of in pictures),
        "<h2>Training</h2>",
        _figure("", draw_curves(history), alt="Training curves"),
        f"<h2>Command</h2><pre>{_escape(_words(command))}</pre>" if command else "",
        "<h2>Config</h2>",
        table(flatten(config)),
        "<h2>Provenance</h2>",
        table(flatten(rest)),
    ]
    write_page(path, title, "\n".join(body))


def write_page(path: Path, title: str, body: str) -> None:
    """Puts the body into a page with this style, replacing the file in one move."""
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    if not process.is_leader():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def table(rows: Mapping[str, Any]) -> str:
    """Keys at the left, values at the right."""
    if not rows:
        return '<p class="none">None.</p>'
    cells = (f"<tr><th>{_escape(key)}</th><td>{_escape(_words(value))}</td></tr>" for key, value in rows.items())
    return f"<table>{''.join(cells)}</table>"


def _figure(caption: str, picture: bytes, alt: str = "", kind: str = "png") -> str:
    source = f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
    words = f"<figcaption>{_escape(caption)}</figcaption>" if caption else ""
    return f'<figure>{words}<img src="{source}" alt="{_escape(alt or caption)}"></figure>'


def _words(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, default=str)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
