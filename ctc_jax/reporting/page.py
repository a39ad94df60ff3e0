"""One self-contained HTML page about a run: no script, nothing loaded from elsewhere.

Tests: test_page.py, test_page_in_browser.py.
"""

import base64
import dataclasses
import html
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

from ctc_jax import process
from ctc_jax.options import flatten
from ctc_jax.reporting.curves import draw_curves
from ctc_jax.reporting.latent_groups import grouped
from ctc_jax.reporting.number_tables import numbers, wide_table
from ctc_jax.whole_file import replaced

REPORT = "report.html"  # its name in the directory of a run
STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #5b6570; --paper: #ffffff; --card: #f3f5f7; --line: #d9dee3;
  --train: #3b76af; --validation: #d9762b; --test: #3f8f4f; --tone: 42% }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e7eb; --soft: #9aa5b1; --paper: #14181d; --card: #1f252c; --line: #353d46;
    --train: #6ba6e0; --validation: #f0a066; --test: #72c383; --tone: 66% }
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
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1.4rem }
.panels > svg { display: block; width: 100%; height: auto }
.drawn svg { display: block; width: 100%; max-width: 34rem; height: auto }
.drawn svg svg { max-width: none }
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
  font-size: .85rem; user-select: all }
summary { cursor: pointer; color: var(--soft); margin-top: 1rem }
.overview { margin-bottom: 1.4rem }
.overview th { width: 8rem }
.overview td { font-family: inherit; font-size: .95rem }
.none { color: var(--soft) }
"""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG, GIF or SVG file and the words above it."""

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
    defaults: Mapping[str, Any] | None = None,
    about: Mapping[str, str] | None = None,
) -> None:
    """Writes the page: what the run is, numbers, notes, curves, pictures, command, config, provenance.

    Args:
      path: the HTML file; replaced in one move.
      title: the page's heading.
      summary: numbers by name, as `numbers` shows them.
      history: what `read_history` returns.
      config: nested keys; shown flat, with dots, those that differ from the defaults first.
      provenance: nested keys; `command`, a list of words, is shown as a shell takes it.
      pictures: shown in order.
      notes: sentences below the numbers.
      defaults: of the config, by dotted key; None shows the config whole.
      about: what the run is, as `overview` says it; above all else.
    """
    command = provenance.get("command")
    rest = {key: value for key, value in provenance.items() if key != "command"}
    body = [
        f"<h1>{_escape(title)}</h1>",
        f'<div class="overview">{table(about)}</div>' if about else "",
        numbers(grouped(summary)),
        *(f"<p>{_escape(note)}</p>" for note in notes),
        "<h2>Training</h2>",
        f'<div class="panels">{"".join(draw_curves(history))}</div>',
        "<h2>Pictures</h2>" if pictures else "",
        *(_figure(of.caption, of.path.read_bytes(), kind=of.path.suffix[1:]) for of in pictures),
        f"<h2>Command</h2><pre>{_escape(_line(command))}</pre>" if command else "",
        "<h2>Config</h2>",
        _config(flatten(config), defaults),
        "<h2>Provenance</h2>",
        table(flatten(rest)),
    ]
    write_page(path, title, "\n".join(body))


def write_page(path: Path, title: str, body: str, *, style: str = "") -> None:
    """Puts the body into a page with our style and what it adds, replacing the file in one move."""
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
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


def _config(config: Mapping[str, Any], defaults: Mapping[str, Any] | None) -> str:
    """What differs from the defaults, beside them, then the rest, folded up."""
    if defaults is None:
        return table(config)
    changed = [key for key, value in config.items() if key not in defaults or defaults[key] != value]
    cells = [
        [_escape(of) for of in (key, _words(config[key]), _words(defaults[key]) if key in defaults else "")]
        for key in changed
    ]
    rest = {key: value for key, value in config.items() if key not in set(changed)}
    return "\n".join(
        [
            wide_table(["differs from the defaults", "value", "default"], cells) if cells else "",
            f"<details><summary>{len(rest)} keys at their defaults</summary>{table(rest)}</details>" if rest else "",
        ]
    )


def _line(command: Any) -> str:
    """Words as a shell takes them, each flag on a line of its own."""
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return _words(command)
    quoted = [shlex.quote(word) for word in command]
    breaks = [" \\\n  " if word.startswith("--") else " " for word in command]
    return "".join(part for pair in zip(breaks, quoted, strict=True) for part in pair).strip()


def _figure(caption: str, picture: bytes, kind: str) -> str:
    if kind == "svg":  # as part of the page it has the page's colors
        return f'<figure class="drawn"><figcaption>{_escape(caption)}</figcaption>{picture.decode()}</figure>'
    source = f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
    words = _escape(caption)
    return f'<figure><figcaption>{words}</figcaption><img src="{source}" alt="{words}"></figure>'


def _words(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, default=str)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
