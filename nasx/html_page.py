"""A web page in one file: style, tables, pictures; nothing is fetched from anywhere, no script runs."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from nasx.plots import GROUND, INK

#: Nothing but what stands in the file may be used, whatever a cell of a table says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --sheet: #f6f7f9; --ink: #27303f; --soft: #5f6b7e;
  --rule: #dde2ea; --accent: #1f5c9e; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181f; --sheet: #1c222c; --ink: #dfe5ee; --soft: #97a3b6;
  --rule: #323b49; --accent: #7db4ec; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 66rem; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; margin: 3rem 0 .4rem; padding-top: 1.4rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1.02rem; margin: 2.2rem 0 .5rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; } .soft { color: var(--soft); font-size: .88rem; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .84em; }
code { overflow-wrap: anywhere; } pre { background: var(--sheet); border-radius: 8px; padding: .8rem 1rem;
  white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.card { background: var(--sheet); border-radius: 10px; padding: .75rem 1rem .8rem; }
.card b { display: block; font-size: 1.45rem; line-height: 1.3; font-weight: 650; font-variant-numeric: tabular-nums;
  color: var(--accent); } .card span { color: var(--soft); font-size: .82rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; margin: .5rem 0 1rem; min-width: 60%; }
th { text-align: left; font-weight: 600; color: var(--soft); vertical-align: bottom; }
th, td { padding: .38rem .9rem .38rem 0; border-bottom: 1px solid var(--rule); }
td { font-variant-numeric: tabular-nums; } td + td { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .85rem; max-width: 46rem; }
figure svg, figure img { max-width: 100%; height: auto; display: block; margin: 0 auto .4rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(21rem, 1fr)); gap: 1.6rem; align-items: start; }
.cells { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start; }
svg [id="GROUND"] { display: none; } svg text { font-family: inherit !important; }
details { border: 1px solid var(--rule); border-radius: 8px; padding: .5rem .9rem; margin: .5rem 0; }
summary { cursor: pointer; }
@media print { :root { color-scheme: light; --ground: #fff; --sheet: #f6f7f9; --ink: #111; --soft: #555; --rule: #ccc; }
  body { max-width: none; padding: 0; font-size: 11px; } figure, table, .cards { break-inside: avoid; }
  h2, h3 { break-after: avoid; } details::details-content { content-visibility: visible; height: auto; } }
""".replace("GROUND", GROUND)


def page(title: str, parts: Sequence[str]) -> str:
    """Returns a complete page.

    Args:
        title: The title, as text.
        parts: Pieces of HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def table(rows: Sequence[Sequence[str]], *, left: int = 1, code: Sequence[int] = ()) -> str:
    """Returns a table.

    Args:
        rows: The heading, then one row a line, as text.
        left: How many columns hold words; the others hold numbers.
        code: Columns that hold architectures or commands.

    >>> table([["setting", "seeds"], ["a < b", "3"]]).count("<td")
    2
    """
    heading, *lines = rows

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{'' if place < left else ' class=number'}>"
            + (f"<code>{escape(cell)}</code>" if place in code and tag == "td" else escape(cell))
            + f"</{tag}>"
            for place, cell in enumerate(row)
        )

    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in lines)
    return (
        f"<div class=wide><table><thead><tr>{cells(heading, 'th')}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def cards(facts: Sequence[tuple[str, str]]) -> str:
    """Returns the numbers that matter most: pairs of a value and the name under it."""
    shown = "".join(f"<div class=card><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in facts)
    return f"<div class=cards>{shown}</div>"


def figure(picture: str, caption: str) -> str:
    """Returns a picture (HTML) with a caption (text) under it."""
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def inline(path: Path) -> str:
    """Returns a picture file as HTML: an SVG in the colours of the page, anything else as data."""
    if path.suffix != ".svg":
        data = base64.b64encode(path.read_bytes()).decode()
        return f'<img alt="{escape(path.stem, quote=True)}" src="data:image/png;base64,{data}">'
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    # markers and clips are referred to by name, and names are of the whole page
    for name in set(re.findall(r'(?:url\(#|href="#)([\w.-]+)', text)):
        text = re.sub(rf'(id="|url\(#|href="#){re.escape(name)}(?=["\)])', rf"\g<1>{path.stem}-{name}", text)
    return text.replace(INK, "var(--ink)")
