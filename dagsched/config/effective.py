"""What a job comes to in the words of job files: templates, matrices and defaults laid together, and who says what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dagsched.config.build import MERGED, Entry, in_long_form
from dagsched.config.reader import Path
from dagsched.declaration import Match


class Line(NamedTuple):
    """A key of a job with the place (`jobs.yaml:7`) that says it; `inner`: the same of what a mapping holds."""

    key: str
    value: Any
    place: str
    inner: tuple[Line, ...] = ()


def lines_of(entry: Entry) -> list[Line]:
    """Return what the job says, in the order of the file, then its defaults and its time zone."""
    own = entry.document.data["jobs"][entry.job.id]
    defaults = entry.document.data.get("defaults") or {}
    said = {**own, **{key: value for key, value in defaults.items() if key not in own}}
    found = [_line(entry, key, value, own, defaults) for key, value in said.items()]
    if "timezone" not in said and "timezone" in entry.document.data:
        zone = entry.document.data["timezone"]
        found.append(Line("timezone", zone, _place(entry, ("timezone",))))
    return found


def _line(entry: Entry, key: str, value: Any, own: Mapping[str, Any], defaults: Mapping[str, Any]) -> Line:
    base: Path = ("jobs", entry.job.id) if key in own else ("defaults",)
    place = _place(entry, (*base, key))
    if key == "depends_on":
        return Line(key, _upstreams(entry), place)
    if key in MERGED and key in own and key in defaults:
        parts = [
            (("defaults", key), in_long_form(key, defaults[key])),
            ((*base, key), in_long_form(key, own[key])),
        ]
        merged = {name: (path, each) for path, said in parts for name, each in said.items()}
        inner = tuple(Line(name, each, _place(entry, (*path, name))) for name, (path, each) in merged.items())
        return Line(key, {line.key: line.value for line in inner}, place, inner)
    if isinstance(value, dict) and key in (*MERGED, "params", "with"):
        inner = tuple(Line(name, each, _place(entry, (*base, key, name))) for name, each in value.items())
        return Line(key, value, place, inner)
    return Line(key, value, place)


def _upstreams(entry: Entry) -> list[Any]:
    """Return the dependencies, with the jobs of a matrix by their names."""
    return [
        edge.job if edge.match is Match.LATEST else {"job": edge.job, "match": str(edge.match)}
        for edge in entry.job.depends_on
    ]


def _place(entry: Entry, path: Path) -> str:
    """Return file and line."""
    source = entry.document.source
    return source.at(entry.document.index(path, key=True)).rpartition(":")[0]
