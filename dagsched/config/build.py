"""From checked data to frozen jobs, with every default filled in.

A file's `defaults` stand below each of its jobs; `retry`, `env`, `secrets`, `dst` and `keep` are merged, every other
key of a job replaces the default. Values that many jobs share (a retry policy, a schedule, a length) are made
once: ten thousand jobs have few of them.

What the grammar cannot see (a length out of range, a day that does not exist) is reported here, at its place,
and the job is built without it so that the checks after this one see as much as possible.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from dagsched.config.explain import Complaint, short
from dagsched.config.lengths import BadLength, parse_length
from dagsched.config.reader import Document, Path
from dagsched.config.report import Report
from dagsched.config.schedules import Schedules
from dagsched.declaration import (
    EMPTY,
    Backoff,
    Catchup,
    Dependency,
    Job,
    Keep,
    Match,
    NotifyRule,
    OnCrash,
    OutputRef,
    Overlap,
    Param,
    Position,
    RateLimit,
    RetryPolicy,
    Schedule,
    TriggerRule,
    Window,
)

Groups = Mapping[str, tuple[str, ...]]
"""Id of a job with a matrix → the ids of its jobs."""

GROUP_EDGES_MAX = 100_000
CATCHUP_ALL_WINDOW = timedelta(hours=24)
MERGED = ("retry", "env", "secrets", "dst", "keep")
_POSITIVE = frozenset({"timeout", "deadline", "catchup_window"})
_COMMAND_HANDLER = "shell"
LOCAL_QUEUE, DEFAULT_QUEUE = "local", "default"


class Dropped(NamedTuple):
    """What of a job the grammar refused: whole keys, or single parts of depends_on, env, secrets and params."""

    keys: frozenset[str]
    parts: frozenset[tuple[str, str | int]]


_NOTHING = Dropped(frozenset(), frozenset())


class Entry(NamedTuple):
    """A job as built, and where it came from.

    `dropped`: keys left out because the grammar refused them. `edges`: for each of the job's dependencies,
    its place in the file's `depends_on`, from 0; None when all of them are there.
    """

    job: Job
    document: Document
    dropped: frozenset[str]
    edges: tuple[int, ...] | None = None

    @property
    def schedule_path(self) -> Path:
        return ("jobs", self.job.id, "schedule")

    @property
    def timezone_path(self) -> Path:
        """Return where the time zone of the schedule is said; of all jobs of the file if nowhere else."""
        raw = self.document.data["jobs"][self.job.id]
        if isinstance(raw["schedule"], dict) and "timezone" in raw["schedule"]:
            return (*self.schedule_path, "timezone")
        path = self.path("timezone")
        return path if path[0] == "defaults" or "timezone" in raw else ("timezone",)

    def path(self, *steps: str | int) -> Path:
        """Return the path of a part of this job; of the defaults when the job itself does not say it."""
        raw = self.document.data["jobs"][self.job.id]
        base: Path = ("jobs", self.job.id)
        if steps and steps[0] not in raw and steps[0] in (self.document.data.get("defaults") or {}):
            base = ("defaults",)
        return (*base, *steps)


class Builder:
    """Builds the jobs of one file. `folder`: absolute, relative `cwd` are below it."""

    def __init__(
        self,
        document: Document,
        folder: str,
        report: Report,
        schedules: Schedules,
        dropped: Mapping[str, Dropped],
        defaults: dict[str, Any],
        timezone: str | None,
        groups: Groups,
    ) -> None:
        self.document, self.folder, self.report, self.schedules = document, folder, report, schedules
        self.dropped, self.defaults, self.timezone, self._groups = dropped, defaults, timezone, groups
        self.named_groups: set[str] = set()
        self._group_edges = 0
        self._merged_defaults = [(key, in_long_form(key, defaults[key])) for key in MERGED if key in defaults]
        self._inherited: dict[str, Any] = {}
        self._retries: dict[str, RetryPolicy] = {}
        self._made: dict[tuple[str, str], Any] = {}
        self._places: dict[str, int] = {}
        self._id = ""
        self._raw: Mapping[str, Any] = EMPTY

    def job(self, id: str, raw: Mapping[str, Any]) -> Entry:
        """Return the job that `raw` declares; what cannot be used is reported and left at its default."""
        dropped = self.dropped.get(id, _NOTHING)
        own = raw if dropped is _NOTHING else _kept(raw, dropped)
        self._id, self._raw = id, own
        said = self._merged(own)
        if not self._places:
            self._places = self.document.key_indexes(("jobs",))
        line, column = self.document.source.place(self._places[id])
        values: dict[str, Any] = {"position": Position(self.document.source.name, line, column)}
        for key, value in said.items():
            if key in _AS_THEY_ARE:
                values[_FIELDS[key]] = value
            elif key in _MAKERS:
                made = _MAKERS[key](self, key, value) if key in own else self._of_defaults(key, value)
                values[_FIELDS[key]] = made
        self._fill(values, said)
        edges = None
        if dropped.parts and "depends_on" in own:
            numbers = range(len(raw["depends_on"]))
            edges = tuple(each for each in numbers if ("depends_on", each) not in dropped.parts)
        if self._groups and any(edge.job in self._groups for edge in values.get("depends_on", ())):
            edges, values["depends_on"] = self._with_members(values["depends_on"], edges)
        values["timezone"], values["schedule"] = self._times(said)
        return Entry(Job(id=id, **values), self.document, dropped.keys, edges)

    def _merged(self, own: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.defaults:
            return own
        said = {**self.defaults, **own}
        for key, below in self._merged_defaults:
            if key in own:
                said[key] = {**below, **in_long_form(key, own[key])}
        return said

    def _of_defaults(self, key: str, value: Any) -> Any:
        """Return what the defaults say, made for the first job that says nothing of its own."""
        if key not in self._inherited:
            self._inherited[key] = _MAKERS[key](self, key, value)
        return self._inherited[key]

    def _fill(self, values: dict[str, Any], said: Mapping[str, Any]) -> None:
        """Set the defaults that hang on other keys."""
        values["cwd"] = self._folder(said["cwd"]) if said.get("cwd") else self.folder
        if values.get("overlap") is Overlap.ALLOW and "max_active_runs" not in said:
            values["max_active_runs"] = None
        if values.get("catchup") is Catchup.ALL and values.get("catchup_window") is None:
            values["catchup_window"] = CATCHUP_ALL_WINDOW
        if "handler" not in said:
            values["handler"] = _COMMAND_HANDLER
        if values.get("queue") == LOCAL_QUEUE:
            values["queue"], values["labels"] = None, ()
        elif values.get("labels"):
            values.setdefault("queue", DEFAULT_QUEUE)

    def _folder(self, cwd: str) -> str:
        made: str | None = self._made.get(("cwd", cwd))
        if made is None:
            made = self._made["cwd", cwd] = os.path.normpath(os.path.join(self.folder, cwd))
        return made

    def _times(self, said: Mapping[str, Any]) -> tuple[str, Schedule | None]:
        """Return the job's time zone and its schedule, if it has one."""
        raw = said.get("schedule")
        timezone_path, timezone = self._zone_of(raw, said)
        if not self.schedules.is_zone(timezone, self.document, timezone_path, self.report):
            timezone = "UTC"  # so that what else is wrong with the schedule is told as well
        if raw is None:
            return timezone, None
        place = (self.document, ("jobs", self._id, "schedule"))
        return timezone, self.schedules.schedule(raw, timezone, said.get("dst") or {}, place, self.report)

    def _zone_of(self, raw: Any, said: Mapping[str, Any]) -> tuple[Path, str]:
        if isinstance(raw, dict) and "timezone" in raw:
            return ("jobs", self._id, "schedule", "timezone"), raw["timezone"]
        if "timezone" in said:
            return self._path("timezone"), said["timezone"]
        return ("timezone",), self.timezone or "UTC"

    def _path(self, key: str) -> Path:
        return ("jobs", self._id, key) if key in self._raw else ("defaults", key)

    def _inner_path(self, key: str, inner: str) -> Path:
        """Return the path of a part of a merged mapping, which may come from the job or from the defaults."""
        own = self._raw.get(key)
        return ("jobs", self._id, key, inner) if isinstance(own, dict) and inner in own else ("defaults", key, inner)

    # ------------------------------------------------------------ makers, one per kind of value

    def _words(self, key: str, value: list[str]) -> tuple[str, ...]:
        return tuple(value)

    def _sorted_words(self, key: str, value: list[str]) -> tuple[str, ...]:
        return tuple(sorted(value))

    def _run(self, key: str, value: Any) -> Any:
        return tuple(map(str, value)) if isinstance(value, list) else value

    def _dependencies(self, key: str, value: list[Any]) -> tuple[Dependency, ...]:
        return tuple(
            Dependency(each) if isinstance(each, str) else Dependency(each["job"], Match(each.get("match", "latest")))
            for each in value
        )

    def _with_members(
        self, dependencies: tuple[Dependency, ...], places: tuple[int, ...] | None
    ) -> tuple[tuple[int, ...], tuple[Dependency, ...]]:
        """Return the dependencies with a matrix replaced by all its jobs, and each one's place in the file's list."""
        found: list[tuple[int, Dependency]] = []
        for number, edge in zip(places or range(len(dependencies)), dependencies, strict=True):
            members = self._groups.get(edge.job)
            if members is None:
                found.append((number, edge))
                continue
            self.named_groups.add(edge.job)
            self._group_edges += len(members)
            if self._group_edges > GROUP_EDGES_MAX:
                self._too_many_edges(edge.job, number)
                continue
            found += [(number, edge._replace(job=member)) for member in members]
        return tuple(number for number, _ in found), tuple(edge for _, edge in found)

    def _too_many_edges(self, group: str, number: int) -> None:
        self._say(
            "E414",
            ("jobs", self._id, "depends_on", number),
            f"with all jobs of the matrix '{group}' this file has more than {GROUP_EDGES_MAX:,} such dependencies",
            "when each job of one matrix waits for each of another, their numbers multiply",
            f"let one job wait for '{group}', and the others for that one; or name the member that is meant",
        )

    def _enum(self, key: str, value: str) -> Any:
        return _ENUMS[key](value)

    def _length(self, key: str, value: str) -> timedelta | None:
        length = self._parsed(self._path(key), value)
        if key in _POSITIVE and length == timedelta(0):
            self._say(
                "E304",
                self._path(key),
                f"'{key}' is zero",
                "nothing could ever finish or be caught up in no time",
                f"write a longer one, or remove {key}",
            )
            return None
        return timedelta(0) if length is None and key == "jitter" else length

    def _rate(self, key: str, value: str) -> RateLimit | None:
        return checked_rate(value, self.document, self._path(key), self.report)

    def _window(self, key: str, value: Any) -> tuple[Window, ...]:
        from dagsched.config.windows import windows_of  # only who has a window waits for it

        return windows_of(value, self._path(key), self.document, self.report)

    def _calendar(self, key: str, value: Any) -> tuple[str, ...]:
        return (value,) if isinstance(value, str) else tuple(value)

    def _parsed(self, path: Path, text: str) -> timedelta | None:
        try:
            return parse_length(text)
        except BadLength as error:
            code = "E304" if error.is_range else "E303"
            self._say(
                code,
                path,
                str(error),
                "lengths are numbers with units, each unit once, at most 3650d",
                "write e.g. 90s, 15m, 2h, 1d, 1h30m or 500ms",
            )
            return None

    def _retry(self, key: str, value: Any) -> RetryPolicy:
        said = in_long_form(key, value)
        words = repr(said)
        known = self._retries.get(words)
        if known is not None:
            return known
        policy: dict[str, Any] = {}
        for inner, each in said.items():
            if inner in ("delay", "max_delay", "jitter"):
                length = self._parsed(self._inner_path(key, inner), each)
                if length is None:
                    return RetryPolicy()
                policy[inner] = length
            else:
                policy[inner] = {"backoff": Backoff, "on": tuple}.get(inner, _same)(each)
        made = self._retries[words] = RetryPolicy(**policy)
        return made

    def _keep(self, key: str, value: Mapping[str, int]) -> Keep:
        return self._made.setdefault((key, repr(value)), keep_of(value))  # type: ignore[no-any-return]

    def _env(self, key: str, value: Mapping[str, Any]) -> Mapping[str, str | OutputRef]:
        for name in value:
            if name.startswith("DAGSCHED_"):
                self._reserved(self._inner_path(key, name), name)
        return MappingProxyType({name: _env_value(each) for name, each in value.items()})

    def _params(self, key: str, value: Mapping[str, Any]) -> Mapping[str, Param]:
        for name in value:
            if name.startswith("DAGSCHED_"):
                self._reserved(("jobs", self._id, key, name), name)
        return MappingProxyType({name: Param(schema, schema.get("default")) for name, schema in value.items()})

    def _notify(self, key: str, value: list[Mapping[str, Any]]) -> tuple[NotifyRule, ...]:
        made = rules_of(value)
        known: tuple[NotifyRule, ...] = self._made.setdefault((key, repr(made)), made)
        return known

    def _secrets(self, key: str, value: Mapping[str, str]) -> Mapping[str, str]:
        for name in value:
            if name.startswith("DAGSCHED_"):
                self._reserved(self._inner_path(key, name), name)
        return MappingProxyType(dict(value))

    def _reserved(self, path: Path, name: str) -> None:
        self._say(
            "E111",
            path,
            f"the name '{short(name)}' is reserved",
            "variables that start with DAGSCHED_ are set by the scheduler",
            "choose another name",
            True,
        )

    def _with(self, key: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
        inner = {"http": "timeout", "agent": "poll"}.get(self._raw.get("handler", ""), "")
        # A plug-in's keys may have any name, an empty one among them.
        if inner and inner in value:
            path: Path = ("jobs", self._id, key, inner)
            if self._parsed(path, value[inner]) == timedelta(0):
                why = "no request is answered in no time"
                self._say("E304", path, f"'{inner}' is zero", why, "write a longer one")
        return MappingProxyType(dict(value))

    def _say(self, code: str, path: Path, message: str, why: str, fix: str, is_key: bool = False) -> None:
        self.report.complain(self.document, Complaint(code, path, message, why, fix, is_key))


def checked_rate(text: str, document: Document, path: Path, report: Report) -> RateLimit | None:
    """Return the rate limit that stands at `path`; None after reporting why it cannot be used."""
    from dagsched.config.rates import PER_MAX, STARTS_MAX, BadRate, parse_rate

    try:
        return parse_rate(text)
    except BadRate as error:
        why = f"a rate limit is starts/length, with 1 to {STARTS_MAX:,} starts in at most {PER_MAX.days}d"
        report.complain(document, Complaint("E321", path, str(error), why, "write e.g. 10/1m, 100/1h or 1/90s"))
        return None


def _kept(raw: Mapping[str, Any], dropped: Dropped) -> dict[str, Any]:
    kept = {key: value for key, value in raw.items() if key not in dropped.keys}
    for key in {key for key, _ in dropped.parts}:
        lost = {name for owner, name in dropped.parts if owner == key}
        if isinstance(raw[key], dict):
            kept[key] = {name: value for name, value in raw[key].items() if name not in lost}
        else:
            kept[key] = [value for number, value in enumerate(raw[key]) if number not in lost]
    return kept


def rules_of(said: list[Mapping[str, Any]]) -> tuple[NotifyRule, ...]:
    """Return the notification rules that a file says."""
    return tuple(NotifyRule(tuple(rule["on"]), tuple(rule["to"])) for rule in said)


def keep_of(value: Mapping[str, int]) -> Keep:
    """Return what `keep` says."""
    return Keep(value.get("days"), value.get("runs"))


def in_long_form(key: str, value: Any) -> Mapping[str, Any]:
    """Return the long form of `retry: 3`."""
    return {"max_attempts": value} if key == "retry" and isinstance(value, int) else value


def _env_value(value: Any) -> str | OutputRef:
    if isinstance(value, dict):
        default = value.get("default")
        return OutputRef(value["job"], value["output"], None if default is None else str(default))
    return str(value)


def _same(value: Any) -> Any:
    return value


_ENUMS: dict[str, Callable[[str], Any]] = {
    "trigger_rule": TriggerRule,
    "catchup": Catchup,
    "overlap": Overlap,
    "on_crash": OnCrash,
}

# The names as Python knows them: it compares text that was read with those of forty parameters, one by one.
_FIELDS = {**{name: name for name in Job._fields}, "with": "with_"}

_AS_THEY_ARE = frozenset({"description", "owner", "handler", "shell", "user", "pool", "queue", "when"}) | {
    "max_active_runs", "max_queued", "slots", "priority", "enabled",
}  # fmt: skip

_MAKERS: dict[str, Callable[[Builder, str, Any], Any]] = {
    **dict.fromkeys(("timeout", "deadline", "catchup_window", "jitter"), Builder._length),
    **dict.fromkeys(_ENUMS, Builder._enum),
    "rate_limit": Builder._rate,
    "window": Builder._window,
    "tags": Builder._words,
    "labels": Builder._sorted_words,
    "calendar": Builder._calendar,
    "depends_on": Builder._dependencies,
    "run": Builder._run,
    "with": Builder._with,
    "env": Builder._env,
    "params": Builder._params,
    "secrets": Builder._secrets,
    "retry": Builder._retry,
    "notify": Builder._notify,
    "keep": Builder._keep,
}
