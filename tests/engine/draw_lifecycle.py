"""Draws the picture and table of `docs/lifecycle.md` from the transitions: `python -m tests.engine.draw_lifecycle`."""

from __future__ import annotations

from pathlib import Path

from dagsched.engine.lifecycle import EVENTS, TRANSITIONS
from dagsched.model import LIVE, RunState

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
BEGIN, END = "<!-- drawn from the table of transitions: begin -->", "<!-- drawn: end -->"


def drawn() -> str:
    """Return the picture (mermaid) and the table of all transitions."""
    return "\n".join([*_picture(), "", *_table()])


def page_with(text: str, drawing: str) -> str:
    """Return the page with everything between its two marks replaced by `drawing`."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{drawing}\n{END}{after}"


def _picture() -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> waiting: has upstreams", "    [*] --> queued: has none"]
    for state in (state for state in RunState if state in LIVE):
        for change, after in TRANSITIONS[state].items():
            lines.append(f"    {state} --> {after}: {EVENTS[change].removeprefix('run.')}")
    lines += [f"    {state} --> [*]" for state in RunState if state not in LIVE]
    return [*lines, "```"]


def _table() -> list[str]:
    lines = ["| from | event | to | when |", "|---|---|---|---|"]
    for state in (state for state in RunState if state in LIVE):
        for change, after in TRANSITIONS[state].items():
            lines.append(f"| `{state}` | `{EVENTS[change]}` | `{after}` | {_sentence(change)} |")
    ends = ", ".join(f"`{state}`" for state in RunState if state not in LIVE)
    (reopened,) = TRANSITIONS[RunState.FAILED]
    return [*lines, f"| {ends} | `{EVENTS[reopened]}` | `waiting` | {_sentence(reopened)} |"]


def _sentence(change: type) -> str:
    return " ".join((change.__doc__ or "").split("\n\n")[0].split()).replace("`", "")


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), drawn()), encoding="utf-8")
