"""Charts as SVG, made here: no script, and attributes in place of styles, which the policy of pages forbids.

Bars have the colours of their states, and say the same by where they stand: what went well stands above the line, the
higher the longer it took; what went wrong hangs below it; what did not run is a short mark on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from markupsafe import Markup, escape

from dagsched.model import BAD, LIVE, Run
from dagsched.views.rows import duration_s
from dagsched.web.words import length, moment, state_words

BAR, GAP, UP, DOWN = 5, 2, 14, 8


def outcomes(newest: Sequence[Run], now: datetime, number: int = 20) -> Markup:
    """Return a row of small bars, one for each of these runs (newest first), the newest at the right."""
    runs = list(reversed(newest[:number]))
    longest = max((duration_s(run) or 0 for run in runs), default=0) or 1
    begin = (number - len(runs)) * (BAR + GAP)
    parts = []
    for place, run in enumerate(runs):
        x = begin + place * (BAR + GAP)
        y, height = _bar(run, longest)
        parts.append(
            f'<rect class="s-{run.state}" x="{x}" y="{y}" width="{BAR}" height="{height}">'
            f"<title>{escape(_title(run, now))}</title></rect>"
        )
    width = number * (BAR + GAP) - GAP
    words = _summary(runs)
    kind = "outcomes" if runs else "outcomes is-empty"
    # Made of numbers, names of states and what was escaped above.
    return Markup(  # noqa: S704
        f'<svg class="{kind}" width="{width}" height="{UP + DOWN + 2}" viewBox="0 0 {width} {UP + DOWN + 2}"'
        f' role="img" aria-label="{escape(words)}"><path class="line" d="M0 {UP + 0.5}H{width}"/>{"".join(parts)}</svg>'
    )


def _bar(run: Run, longest: float) -> tuple[float, float]:
    """Return where a bar begins and how high it is."""
    if run.state in BAD:
        return UP + 1, DOWN
    took = duration_s(run)
    if run.state in LIVE or took is None:
        return UP - 2, 5
    height = round(4 + (UP - 4) * min(1.0, took / longest), 1)
    return UP - height, height


def _title(run: Run, now: datetime) -> str:
    took = duration_s(run)
    told = f"{moment(run.tick, now)} UTC {state_words(str(run.state))}"
    return f"{told}, {length(took)}" if took is not None else told


def _summary(runs: Sequence[Run]) -> str:
    """Return what the bars say, for whoever hears the page."""
    if not runs:
        return "no runs"
    good = sum(1 for run in runs if run.state == "success")
    return f"{good} of the last {len(runs)} succeeded, the newest is {state_words(str(runs[-1].state))}"


# ---------------------------------------------------------------- the chart of one job

WIDE, TALL, FOOT, LEFT = 720, 110, 14, 52


def durations(newest: Sequence[Run], now: datetime, root: str, number: int = 60) -> Markup:
    """Return how long each of these runs took (newest first), as bars that lead to the runs; the newest is last."""
    runs = list(reversed(newest[:number]))
    took = [duration_s(run) for run in runs]
    known = sorted(each for each in took if each is not None)
    if not known:
        return Markup("")
    top = known[-1] or 1.0
    middle = known[len(known) // 2]
    step = (WIDE - LEFT) / number
    parts = [
        f'<path class="line" d="M{LEFT} {TALL + 0.5}H{WIDE}M{LEFT} 0.5H{WIDE}"/>',
        f'<text x="{LEFT - 6}" y="10" text-anchor="end">{escape(length(top))}</text>',
    ]
    for place, (run, seconds) in enumerate(zip(runs, took, strict=True)):
        x = round(LEFT + (number - len(runs) + place) * step, 1)
        parts.append(
            f'<a href="{root}runs/{escape(quote(run.name, safe=":@"))}" class="s-{run.state}">'
            f"<title>{escape(_title(run, now))}</title>{_column(run, seconds, top, x, round(step - 2, 1))}</a>"
        )
    y = round(TALL - TALL * middle / top, 1)
    if middle < 0.9 * top:
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{escape(length(middle))}</text>')
    parts.append(f'<path class="median" d="M{LEFT} {y}H{WIDE}"/>')
    words = f"{_summary(runs)}; usually {length(middle)}, at most {length(top)}"
    # Made of numbers, names of states and what was escaped above.
    return Markup(  # noqa: S704
        f'<svg class="chart" viewBox="0 0 {WIDE} {TALL + FOOT}" role="img" aria-label="{escape(words)}">'
        f"{''.join(parts)}</svg>"
    )


def _column(run: Run, seconds: float | None, top: float, x: float, width: float) -> str:
    """Return the bar of one run; one that went wrong has a mark below the line, too."""
    parts = []
    if seconds is not None:
        height = round(max(2.0, TALL * seconds / top), 1)
        parts.append(f'<rect x="{x}" y="{round(TALL - height, 1)}" width="{width}" height="{height}"/>')
    if run.state in BAD:
        parts.append(f'<rect x="{x}" y="{TALL + 3}" width="{width}" height="8"/>')
    elif seconds is None:
        parts.append(f'<rect x="{x}" y="{TALL - 2}" width="{width}" height="4"/>')
    return "".join(parts)
