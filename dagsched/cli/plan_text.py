"""A preview for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dagsched.cli.output import printable
from dagsched.counting import counted
from dagsched.views.plan_words import ADDED, CHANGED, REMOVED, PlanWords, Section

FOLDED_ROWS = 12
_COLORS = {ADDED: "\x1b[32m", REMOVED: "\x1b[31m", CHANGED: "\x1b[33m", "!": "\x1b[33m"}
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def text(found: PlanWords, *, color: bool) -> str:
    """Return all of it for a person, ending with a line feed."""
    bold, dim, plain = (_BOLD, _DIM, _PLAIN) if color else ("", "", "")
    lines = [f"{dim}{printable(found.headline)}{plain}"]
    for section in found.sections:
        remark = f" {dim}{section.remark}{plain}" if section.remark else ""
        lines += ["", f"{bold}{section.title}{plain}{remark}", *_aligned(section, color)]
    if found.hint:
        lines += ["", found.hint]
    return "\n".join([*lines, "", f"{bold}{found.verdict}{plain}", ""])


def _aligned(section: Section, color: bool) -> Iterator[str]:
    rows = [[printable(cell) for cell in row] for row in section.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(section.columns))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        mark = _COLORS.get(row[0], "") if color else ""
        yield f"  {mark}{line}{_PLAIN}" if mark else f"  {line}"


# ---------------------------------------------------------------- Markdown


def markdown(found: PlanWords) -> str:
    """Return all of it as GitHub's and GitLab's Markdown: tables, the long ones folded."""
    parts = [f"### dagsched plan: {_escaped(found.verdict)}", _escaped(found.headline) + "."]
    for section in found.sections:
        parts.append(_folded(section) if len(section.rows) > FOLDED_ROWS else _open(section))
    if found.hint:
        parts.append(f"> {_escaped(found.hint)}")
    return "\n\n".join(parts) + "\n"


def _open(section: Section) -> str:
    remark = f" ({section.remark})" if section.remark else ""
    return f"**{section.title}**{_escaped(remark)}\n\n{_table(section)}"


def _folded(section: Section) -> str:
    remark = f", {section.remark}" if section.remark else ""
    summary = f"<summary><b>{section.title}</b>: {counted(len(section.rows), 'row')}{_escaped(remark)}</summary>"
    return f"<details>\n{summary}\n\n{_table(section)}\n\n</details>"


def _table(section: Section) -> str:
    lines = [_row(section.columns), _row(["---"] * len(section.columns))]
    return "\n".join([*lines, *(_row([_escaped(cell) for cell in row]) for row in section.rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is: a job's words must not make links, tags or columns."""
    shown = printable(text)
    for letter in ("\\", "`", "*", "_", "[", "]", "|", "~"):
        shown = shown.replace(letter, f"\\{letter}")
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
    return f"\\{shown}" if shown[:1] in ("+", "-", "#", "=") else shown
