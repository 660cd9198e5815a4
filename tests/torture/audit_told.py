"""P14: what was told to somebody is durable. A daemon says nothing of an event, and answers no command, before that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.torture.evidence import Row, instant, run_parts
from tests.torture.lives import Lives

Finding = tuple[str, str, str]

# Instants in the record are cut to milliseconds.
CUT = timedelta(milliseconds=2)

# What a command says when a daemon has done it, and the events of which there must be one. (To resume a job that was
# never paused is done and changes nothing.)
_DONE = {
    "pause": ("paused ", ("job.paused",)),
    "cancel": ("cancelled ", ("run.cancelled", "run.stopping")),
    "rerun": ("running again: ", ("run.reopened",)),
    "ack": ("acknowledged ", ("run.acked",)),
}


def events_told_are_kept(lives: Lives) -> Iterator[Finding]:
    """Every event a daemon has printed stands in the log, letter by letter, whatever became of that daemon."""
    kept = {event["seq"]: event for event in lives.evidence.events}
    for event in lives.evidence.told:
        if kept.get(event["seq"]) != event:
            yield "P14", event["run"] or "", f"a daemon told {event}, and the log has {kept.get(event['seq'])}"


def commands_done_have_events(lives: Lives) -> Iterator[Finding]:
    """A command that a daemon answered with success has left its event; one that changed nothing has an older one."""
    for verb in lives.evidence.verbs:
        said, types = _DONE.get(verb["args"][0], ("", ()))
        if verb["code"] == 0 and said and verb["out"].startswith(said):
            subject = verb["out"].removeprefix(said).strip()
            until = datetime.fromtimestamp(verb["done"], UTC) + CUT
            if not any(event["type"] in types and instant(event["time"]) <= until for event in _of(lives, subject)):
                words = " ".join(verb["args"])
                yield "P14", subject, f"`{words}` was answered with {verb['out'].strip()!r} and left no event"


def _of(lives: Lives, subject: str) -> list[Row]:
    """Return the events of a job, or of the run that has the tick in a run's name."""
    if not subject.startswith("job:"):
        return [event for event in lives.evidence.events if event["job"] == subject]
    row = lives.covering(*run_parts(subject))
    return lives.events[row["run"]] if row is not None else []


CHECKS = (events_told_are_kept, commands_done_have_events)
