"""What an edit would change, as sections of short rows: the one wording that terminal and Markdown share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from dagsched.model import (
    Calendar,
    Dependency,
    Job,
    Match,
    OutputRef,
    Param,
    RateLimit,
    Run,
    Schedule,
    Window,
    format_instant,
    run_name,
)
from dagsched.preview import Changed, DueAt, Fires, KeyChange, Pair, Preview, RunEffect
from dagsched.preview.fires import zone_of
from dagsched.triggers import dst_note, local
from dagsched.triggers.text import length_word, schedule_text
from dagsched.views.coming import in_utc
from dagsched.views.times import length_text, wall

VALUE_MAX = 48
IDS_SHOWN = 4
TIMES_SHOWN = 3
ROWS_SHOWN = 30

ADDED, CHANGED, REMOVED, NONE = "+", "~", "-", "="


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table; the first column is a sign, the others are named. `remark` is a sentence below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""


class PlanWords(NamedTuple):
    """A preview in words: what it is compared with, the tables, a hint or "", and the verdict in one line."""

    headline: str
    sections: tuple[Section, ...]
    hint: str
    verdict: str


def words_of(found: Preview) -> PlanWords:
    """Return all that is told of a preview."""
    return PlanWords(headline(found), tuple(sections(found)), hint(found), verdict(found))


def words_doc(words: PlanWords) -> dict[str, Any]:
    """Return the words as JSON."""
    return {**words._asdict(), "sections": [asdict(section) for section in words.sections]}


def words_from(told: Mapping[str, Any]) -> PlanWords:
    """Return what `words_doc` wrote."""
    read = tuple(
        Section(each["title"], tuple(each["columns"]), tuple(map(tuple, each["rows"])), each["remark"])
        for each in told["sections"]
    )
    return PlanWords(told["headline"], read, told["hint"], told["verdict"])


def sections(found: Preview) -> Iterator[Section]:
    """Yield what there is to tell, and nothing for what stays as it is."""
    made = (
        Section("Jobs", ("", "job", "what", "where"), tuple(_job_rows(found))),
        Section("Fire times", ("", "job", "what", "when"), tuple(_fire_rows(found)), _fires_remark(found)),
        Section("Runs", ("", "run", "is", "would"), tuple(_capped(_run_rows(found.runs)))),
        Section("Due when it is applied", ("", "run", "becomes", "as things stand"), tuple(_capped(_due_rows(found)))),
        Section("Changes of the clock", ("", "jobs", "what", "code"), tuple(_dst_rows(found))),
        Section("New warnings", ("", "where", "what", "code"), tuple(_warning_rows(found))),
    )
    return (section for section in made if section.rows)


def headline(found: Preview) -> str:
    """Return what is compared with what."""
    version = found.base.version
    if version is not None:
        names = ", ".join(Path(name).name for name in version.files)
        since = format_instant(version.applied)
        return f"compared with configuration {version.number}, in force since {since} ({names})"
    if found.base.config.files:
        names = ", ".join(Path(name).name for name in found.base.config.files)
        return f"compared with the files {names}; no state is looked at, so no runs are"
    return "nothing is in force yet: everything is new"


def hint(found: Preview) -> str:
    """Return a remark when the new files look like a part of what is in force; else ""."""
    old, new = found.base.config.files, found.new.files
    names = {Path(name).name for name in old}
    if found.edit.removed and len(new) < len(old) and all(Path(name).name in names for name in new):
        given = f"{len(new)} of {len(old)} files {'was' if len(new) == 1 else 'were'} given"
        return (
            f"{given}, so the jobs of the others count as removed; "
            "to see an edit of one file, name all of them or their folder"
        )
    return ""


def verdict(found: Preview) -> str:
    """Return the sum of it in one line."""
    if not found.changes_anything:
        return "nothing changes"
    edit = found.edit
    parts = [
        f"{number} {one if number == 1 else many}"
        for number, one, many in (
            (len(edit.added), "job added", "jobs added"),
            (len(edit.changed), "job changed", "jobs changed"),
            (len(edit.removed), "job removed", "jobs removed"),
            (len(edit.pools), "pool changed", "pools changed"),
            (sum(len(each.added) for each in found.fires), "fire time added", "fire times added"),
            (sum(len(each.moved) for each in found.fires), "moved", "moved"),
            (sum(len(each.dropped) for each in found.fires), "dropped", "dropped"),
            (sum(each.effect == "cancelled" for each in found.runs), "run cancelled", "runs cancelled"),
        )
        if number
    ]
    return ", ".join(parts) or "what becomes of runs and due ticks changes"


# ---------------------------------------------------------------- jobs


def _job_rows(found: Preview) -> Iterator[tuple[str, ...]]:
    edit = found.edit
    for told in edit.added:
        yield ADDED, told.id, _summary(told), _place(told)
    for changed, keys in _grouped((each.new.id, _key_texts(each)) for each in edit.changed):
        place = _place(found.new.jobs[changed[0]]) if len(changed) == 1 else ""
        for number, (key, change) in enumerate(keys):
            yield CHANGED, "" if number else ids_text(changed), f"{key}: {change}", "" if number else place
    for told in edit.removed:
        yield REMOVED, told.id, _summary(told), _place(told)
    for was, now in edit.renamed:
        yield "!", now, f"says the same as {was}, which is removed: under a new name it has no history", ""
    for pool in edit.pools:
        yield CHANGED, f"pool {pool.key}", f"{value_text(pool.old)} → {value_text(pool.new)} slots", ""
    for setting in edit.settings:
        yield CHANGED, setting.key, change_text(setting), ""
    for names, way in _grouped((each.job, (each.old, each.new)) for each in edit.moved):
        yield NONE, ids_text(names), f"in {way[1]}, before in {way[0]}: no effect", ""


def _grouped(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[list[str], Any]]:
    """Yield what several jobs have in common once, with their ids: a matrix says the same of each of its jobs."""
    found: dict[Any, list[str]] = {}
    for id, what in pairs:
        found.setdefault(what, []).append(id)
    return ((ids, what) for what, ids in found.items())


def ids_text(ids: Sequence[str]) -> str:
    """Return `a, b, c, d and 36 more`."""
    more = len(ids) - IDS_SHOWN
    return ", ".join(ids[:IDS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _summary(job: Job) -> str:
    if job.schedule is not None:
        text = schedule_text(job.schedule) or ""
    else:
        text = "after " + ", ".join(edge.job for edge in job.depends_on) if job.depends_on else "by hand only"
    return text if job.enabled else f"{text}, disabled"


def _place(job: Job) -> str:
    return f"{Path(job.position.file).name}:{job.position.line}" if job.position is not None else ""


def _key_texts(changed: Changed) -> tuple[tuple[str, str], ...]:
    return tuple((change.key, change_text(change)) for change in changed.keys)


def change_text(change: KeyChange) -> str:
    """Return `old → new`, of long values the part where they begin to differ."""
    old, new = map(value_text, _without_zone(change.old, change.new))
    cut = 0
    if max(len(old), len(new)) > VALUE_MAX:
        same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        cut = max(0, same - VALUE_MAX // 3)
    return f"{_short(old, cut)} → {_short(new, cut)}"


def _without_zone(old: Any, new: Any) -> tuple[Any, Any]:
    """Return two schedules without the zone if they share one: what differs is enough."""
    if isinstance(old, Schedule) and isinstance(new, Schedule) and old.timezone == new.timezone:
        return old._replace(timezone="UTC"), new._replace(timezone="UTC")
    return old, new


def _short(text: str, cut: int) -> str:
    begin = f"…{text[cut:]}" if cut else text
    return begin if len(begin) <= VALUE_MAX else f"{begin[: VALUE_MAX - 1]}…"


def value_text(value: Any) -> str:
    """Return a value of a job as the job file would have it, on one line."""
    if isinstance(value, Schedule):
        return schedule_text(value) or ""
    if isinstance(value, timedelta):
        return length_word(value)
    if isinstance(value, datetime):
        return format_instant(value) if value.tzinfo else value.isoformat()
    if isinstance(value, bool) or value is None:
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, OutputRef):
        return f"{value.job}.{value.output}"
    if isinstance(value, Param):
        return _json({**value.schema, **({"default": value.default} if value.default is not None else {})})
    if isinstance(value, tuple) and all(isinstance(each, Dependency | Window) for each in value):
        return ", ".join(_edge(each) if isinstance(each, Dependency) else str(each) for each in value) or "none"
    if isinstance(value, RateLimit):
        return str(value)
    if isinstance(value, Calendar):
        return "; ".join(f"{name}: {value_text(part)}" for name, part in value._asdict().items() if part)
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, Mapping | tuple | int | float):
        return _json(value)
    return str(value).replace("\n", "⏎")


def _edge(edge: Dependency) -> str:
    return edge.job if edge.match is Match.LATEST else f"{edge.job} ({edge.match})"


def _json(value: Any) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, default=value_text)


# ---------------------------------------------------------------- fire times


def _fire_rows(found: Preview) -> Iterator[tuple[str, ...]]:
    told = [(each.job, tuple(_fire_texts(each))) for each in found.fires if each]
    for ids, texts in _grouped(told):
        for number, (sign, what, when) in enumerate(texts):
            yield sign, "" if number else ids_text(ids), what, when


def _fire_texts(fires: Fires) -> Iterator[tuple[str, str, str]]:
    old_zone, new_zone = zone_of(fires.old or fires.new), zone_of(fires.new or fires.old)
    new_schedule = fires.new.schedule if fires.new else None
    far = f" until {in_utc(fires.until)}" if fires.is_cut else ""
    if fires.moved:
        times = [_moved_text(pair, old_zone, new_zone, new_schedule) for pair in fires.moved[:TIMES_SHOWN]]
        yield CHANGED, f"{len(fires.moved)} moved{_shift(fires.moved)}{far}", _listed(times, len(fires.moved))
    if fires.added:
        times = [_time(tick, new_zone, new_schedule) for tick in fires.added[:TIMES_SHOWN]]
        yield ADDED, f"{len(fires.added)} added{far}", _listed(times, len(fires.added))
    if fires.dropped:
        times = [_time(tick, old_zone, None) for tick in fires.dropped[:TIMES_SHOWN]]
        stay = f", {fires.kept} stay" if fires.kept else ""
        yield REMOVED, f"{len(fires.dropped)} dropped{stay}{far}", _listed(times, len(fires.dropped))


def _shift(pairs: Sequence[Pair]) -> str:
    lengths = {pair.new - pair.old for pair in pairs}
    if len(lengths) != 1:
        return ""
    [length] = lengths
    return f" by {'-' if length < timedelta(0) else '+'}{length_text(abs(length))}"


def _moved_text(pair: Pair, old_zone: str, new_zone: str, schedule: Schedule | None) -> str:
    before, after = local(pair.old, old_zone), local(pair.new, new_zone)
    if before.date() == after.date():
        zone = "" if before.tzname() == after.tzname() and old_zone == new_zone else f" {before:%Z}"
        return f"{before:%a %Y-%m-%d %H:%M}{zone} → {_clock(after)}{_note(pair.new, schedule)}"
    return f"{wall(before)} → {_time(pair.new, new_zone, schedule)}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S %Z}" if moment.second else f"{moment:%H:%M %Z}"


def _time(tick: datetime, zone: str, schedule: Schedule | None) -> str:
    return wall(local(tick, zone)) + _note(tick, schedule)


def _note(tick: datetime, schedule: Schedule | None) -> str:
    note = dst_note(schedule, tick) if schedule is not None else ""
    return f" ({note})" if note else ""


def _listed(times: Sequence[str], number: int) -> str:
    more = number - len(times)
    return ", ".join(times) + (f", … {more} more" if more > 0 else "")


def _fires_remark(found: Preview) -> str:
    cut = sum(each.is_cut for each in found.fires if each)
    text = f"until {in_utc(found.until)}"
    return text + (f"; {cut} that fire very often are compared for a shorter time, as said" if cut else "")


# ---------------------------------------------------------------- runs and ticks

_EFFECTS = {
    "cancelled": (REMOVED, "be cancelled (job removed)"),
    "finishes": (CHANGED, "finish its attempt and get no retry (job removed)"),
    "starts": (CHANGED, "start at once"),
    "takes": (CHANGED, "take the new definition"),
    "keeps": (NONE, "go on with the old definition; a retry would take the new one"),
}


def _run_rows(runs: Sequence[RunEffect]) -> Iterator[tuple[str, ...]]:
    for each in runs:
        sign, text = _EFFECTS.get(each.effect) or (CHANGED, f"be {each.state}{_because(each.reason)}")
        yield sign, each.run.name, str(each.run.state), "; ".join((text, *each.more))


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _due_rows(found: Preview) -> Iterator[tuple[str, ...]]:
    for each in found.due:
        yield from _due_of_job(each)


def _due_of_job(each: DueAt) -> Iterator[tuple[str, ...]]:
    before = {run.tick: run for run in each.old}
    for run in each.new:
        was = before.pop(run.tick, None)
        same = was is not None and row_text(was) == row_text(run) and was.until == run.until
        yield NONE if same else CHANGED, _span(run), row_text(run), "the same" if same else _row_or_nothing(was)
    for run in before.values():
        yield CHANGED, _span(run), "is part of the row before it", row_text(run)


def _row_or_nothing(run: Run | None) -> str:
    return "is part of another row" if run is None else row_text(run)


def _span(run: Run) -> str:
    return run_name(run.job, run.tick) + (f" … {format_instant(run.until)}" if run.until else "")


def row_text(run: Run) -> str:
    """Return what becomes of a tick: that it runs, or how it is left out and why."""
    if run.state.is_terminal:
        return f"{run.state}{_because(run.reason)}"
    return "is caught up" if run.origin == "catchup" else "runs"


def _capped(rows: Iterator[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    listed = list(rows)
    yield from listed[:ROWS_SHOWN]
    if len(listed) > ROWS_SHOWN:
        yield "", f"… {len(listed) - ROWS_SHOWN} more", "", ""


# ---------------------------------------------------------------- remarks


def _dst_rows(found: Preview) -> Iterator[tuple[str, ...]]:
    for remark in found.dst:
        yield "!", ids_text(remark.jobs), remark.message, remark.code


def _warning_rows(found: Preview) -> Iterator[tuple[str, ...]]:
    for problem in found.warnings[:ROWS_SHOWN]:
        yield "!", f"{problem.file}:{problem.line}:{problem.column}", problem.message, problem.code
    if len(found.warnings) > ROWS_SHOWN:
        yield "", f"… {len(found.warnings) - ROWS_SHOWN} more", "", ""
