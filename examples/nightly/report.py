"""One page of what the other jobs found: a single HTML file, to be opened as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

ROWS_MAX = 12

PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Nightly survey, $tick</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem;
         color: #1d2430; background: #fff }
  h1 { margin-bottom: 0 } h2 { margin: 2rem 0 .5rem; font-size: 1.1rem }
  .where { color: #5b6675; margin-top: .2rem; overflow-wrap: anywhere }
  .figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.5rem 0; padding: 0 }
  .figures li { list-style: none; background: #f2f5f9; border-radius: .5rem; padding: .6rem 1rem }
  .figures b { display: block; font-size: 1.5rem }
  table { border-collapse: collapse; width: 100% }
  td { padding: .15rem .6rem .15rem 0; vertical-align: top; overflow-wrap: anywhere }
  td.number { text-align: right; white-space: nowrap; width: 6rem }
  td.bar { width: 40% } td.bar i { display: block; height: .7rem; margin-top: .4rem; background: #4c7bd9;
         border-radius: .2rem }
  @media (prefers-color-scheme: dark) {
    body { color: #e4e8ee; background: #14181f } .figures li { background: #212833 } .where { color: #98a3b3 }
  }
</style>
<h1>Nightly survey</h1>
<p class="where">$tree (Python $python)<br>run $run, attempt $attempt; tick $tick</p>
<ul class="figures">$figures</ul>
$sections
""")


def write() -> dict[str, str]:
    """Write report.html and return its path as `report` and what it says first as `headline`."""
    env = os.environ
    out = Path(env["OUT"])
    page = PAGE.substitute(
        tree=escape(env["TREE"]),
        python=escape(env["PYTHON"]),
        run=escape(env["DAGSCHED_RUN"]),
        attempt=env["DAGSCHED_ATTEMPT"],
        tick=escape(env["DAGSCHED_TICK_LOCAL"]),
        figures="".join(f"<li><b>{escape(figure)}</b>{escape(what)}</li>" for figure, what in figures()),
        sections="".join(sections(out)),
    )
    target = out / "report.html"
    unfinished = target.with_suffix(".new")
    unfinished.write_text(page, encoding="utf-8", errors="replace")
    unfinished.replace(target)  # whoever has it open never sees half a page
    print(f"the report is {target}")
    return {"report": str(target), "headline": f"{grouped('LINES')} lines in {grouped('FILES')} files"}


def figures() -> Iterable[tuple[str, str]]:
    """Yield the figures at the top of the page, each with what it counts."""
    env = os.environ
    yield grouped("FILES"), "files"
    yield grouped("LINES"), "lines"
    yield grouped("FUNCTIONS"), "functions"
    yield f"{100 * int(env['EXPLAINED']) / max(1, int(env['FUNCTIONS'])):.0f} %", "of them explained"
    yield grouped("IMPORTED"), "modules imported"
    yield grouped("NOTES"), "notes to come back to"
    yield env["CHANGES"], "" if env["CHANGES"] == "first survey" else "files changed since the last survey"


def sections(out: Path) -> Iterable[str]:
    """Yield the tables of the page."""
    yield section("Largest packages, in lines", bars(rows_of(out / "lines.tsv")))
    yield section("Imported by most files", bars(rows_of(out / "imports.tsv")))
    longest = [[lines, f"{name}  {place}"] for lines, name, place in rows_of(out / "functions.tsv")]
    yield section("Longest functions, in lines", bars(longest))
    yield section("Most notes to come back to", bars(rows_of(out / "notes.tsv")))
    changed = rows_of(out / "changes.tsv")
    if changed:
        yield section("Changed since the last survey", [cells(row) for row in changed])
    yield section("Next clock changes", [cells(clock(*row)) for row in json.loads(os.environ["CLOCKS"])])


def clock(zone: str, change: str, before: str, after: str) -> Sequence[str]:
    """Return a row that says when a zone's clocks change; `change` is UTC, "" when they do not."""
    if not change:
        return zone, f"stays at {before}", ""
    return zone, f"{datetime.fromisoformat(change):%A, %d %B %Y, %H:%M} UTC", f"{before} to {after}"


def rows_of(file: Path) -> list[list[str]]:
    """Return the first rows of a tab-separated file."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split("\t") for line in lines[:ROWS_MAX]]


def bars(rows: list[list[str]]) -> Iterable[str]:
    """Yield table rows for rows that begin with a number, each with a bar of that length."""
    most = max((int(row[0]) for row in rows), default=1)
    for number, *rest in rows:
        bar = f'<td class="bar"><i style="width: {100 * int(number) / most:.1f}%"></i></td>'
        yield f'<tr><td class="number">{int(number):,}</td>{bar}<td>{escape(rest[0])}</td></tr>'


def cells(row: Sequence[str]) -> str:
    """Return a table row of texts."""
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"


def section(title: str, rows: Iterable[str]) -> str:
    """Return a headed table."""
    return f"<h2>{escape(title)}</h2>\n<table>{''.join(rows)}</table>\n"


def grouped(name: str) -> str:
    """Return the number in that variable with its thousands apart."""
    return f"{int(os.environ[name]):,}"
