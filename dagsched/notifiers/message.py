"""A message: what is told to one notifier at once, in words and as data.

Words come from jobs, so a title is one line of printable letters and a text has no control characters but line feeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dagsched.counting import counted

ITEMS_MAX = 20
AFFECTED_MAX = 10
TITLE_CHARACTERS_MAX = 150
REASON_CHARACTERS_MAX = 500
CLOUD_EVENT_TYPE = "dev.dagsched.notification."

_VERBS = {
    "failure": "failed",
    "recovered": "works again",
    "late": "is late",
    "success": "succeeded",
    "config_rejected": "",
    "test": "",
}


class Item(NamedTuple):
    """One run that is told of.

    `run`: its name. `affected`: how many runs after it did not start for it; `affected_jobs`: the first few of their
    jobs. `untold`: how many failures of the job there were since the last message that it fails.
    """

    job: str
    run: str
    state: str
    reason: str = ""
    attempt: int | None = None
    started: str | None = None
    ended: str | None = None
    owner: str = ""
    description: str = ""
    affected: int = 0
    affected_jobs: tuple[str, ...] = ()
    untold: int = 0


class Message(NamedTuple):
    """`id` stays the same over all tries. `time`: when the news was gathered. `more`: runs beyond those in `items`."""

    id: str
    kind: str
    notifier: str
    time: str
    source: str
    title: str
    text: str
    items: tuple[Item, ...] = ()
    more: int = 0
    problems: tuple[Mapping[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return all of it, JSON-able."""
        return {
            **self._asdict(),
            "items": [{**each._asdict(), "affected_jobs": list(each.affected_jobs)} for each in self.items],
            "problems": [dict(each) for each in self.problems],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Message:
        """Return the message that `as_json` told."""
        items = tuple(Item(**{**each, "affected_jobs": tuple(each["affected_jobs"])}) for each in data["items"])
        return cls(**{**data, "items": items, "problems": tuple(data["problems"])})

    def cloud_event(self) -> dict[str, Any]:
        """Return the message as a CloudEvent 1.0."""
        envelope = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": CLOUD_EVENT_TYPE + self.kind,
            "time": self.time,
            "datacontenttype": "application/json",
            "data": {key: value for key, value in self.as_json().items() if key not in ("id", "source", "time")},
        }
        return envelope | ({"subject": self.items[0].run} if self.items else {})


def message_of(
    id: str, kind: str, notifier: str, time: str, source: str, items: Sequence[Item], problems: Sequence[Any] = ()
) -> Message:
    """Return the message about these runs, the most telling first; of very many the last are only counted."""
    shown = tuple(items[:ITEMS_MAX])
    title = _title_of_problems(problems) if kind == "config_rejected" else _title(kind, items)
    lines = [line for item in shown for line in _lines(item, kind)]
    lines += [_problem_line(each) for each in problems]
    more = len(items) - len(shown)
    if more:
        lines.append(f"and {more} more")
    return Message(
        id, kind, notifier, time, source, one_line(title, TITLE_CHARACTERS_MAX), "\n".join(lines), shown, more,
        tuple(problems),
    )  # fmt: skip


def test_message(id: str, notifier: str, time: str, source: str) -> Message:
    """Return a message that says nothing but that messages arrive."""
    text = "If you can read this, messages of this notifier arrive."
    return Message(id, "test", notifier, time, source, f"a test of the notifier {notifier}", text)


# pytest would take a function of this name in a test module for a test.
test_message.__test__ = False  # type: ignore[attr-defined]


def _title(kind: str, items: Sequence[Item]) -> str:
    first = items[0]
    affected = sum(each.affected for each in items)
    after = f"; {affected} after {'it' if len(items) == 1 else 'them'} did not start" if affected else ""
    if len(items) == 1:
        verb = "was cancelled" if first.state == "cancelled" else _VERBS[kind]
        reason = f" ({first.reason})" if first.reason and kind in ("failure", "late") else ""
        return f"{first.job} {verb}{reason}{after}"
    names = ", ".join(dict.fromkeys(each.job for each in items[:3]))
    verb = {"works again": "work again", "is late": "are late"}.get(_VERBS[kind], _VERBS[kind])
    return f"{len(items)} runs {verb}: {names}{', …' if len(items) > 3 else ''}{after}"


def _lines(item: Item, kind: str) -> list[str]:
    reason = one_line(item.reason, REASON_CHARACTERS_MAX)
    lines = [f"{item.run}: {item.state}{' (' + reason + ')' if reason else ''}"]
    tried = f"attempt {item.attempt}, " if item.attempt else ""
    if item.started:
        lines.append(f"  {tried}from {item.started}{' to ' + item.ended if item.ended else ''}")
    if item.description:
        lines.append(f"  {one_line(item.description, REASON_CHARACTERS_MAX)}")
    if item.owner:
        lines.append(f"  owner: {one_line(item.owner, REASON_CHARACTERS_MAX)}")
    if item.untold:
        lines.append(f"  and {counted(item.untold, 'time')} before it, since the last message")
    if item.affected:
        beyond = item.affected - len(item.affected_jobs)
        names = ", ".join(item.affected_jobs) + (f" and {beyond} more" if beyond > 0 else "")
        lines.append(f"  did not start because of it: {names}")
    if kind == "failure" and item.started:
        lines.append(f"  dagsched logs {item.run}")
    return lines


def _title_of_problems(problems: Sequence[Any]) -> str:
    count = len(problems)
    return f"the job files cannot be used: {counted(count, 'problem')}; the last good ones stay in force"


def _problem_line(problem: Mapping[str, Any]) -> str:
    place = f"{problem.get('file')}:{problem.get('line')}:{problem.get('column')}"
    return one_line(f"{place}: {problem.get('code')}: {problem.get('message')}", REASON_CHARACTERS_MAX)


def one_line(text: str, characters_max: int) -> str:
    """Return the text on one line of printable letters, cut to a length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: characters_max + 1])
    return line if len(line) <= characters_max else line[: characters_max - 1] + "…"
