"""Dagu's files → drafts: a DAG becomes the jobs that its steps are, joined as Dagu joins them.

`documents` reads, `head` and `steps` translate keys, `calls` writes out what is called, `joints` decides who waits for
whom, `dag` puts the jobs of one DAG together, and `robfig` says when Dagu would have started it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagsched.importers.dagu.calls import Library
from dagsched.importers.dagu.dag import DagReader
from dagsched.importers.dagu.documents import Sheet, sheets_of
from dagsched.importers.dagu.joints import Broken
from dagsched.importers.dagu.surroundings import IsThere
from dagsched.importers.dagu.words import text_of
from dagsched.importers.draft import Imported, Verdict

# Dagu starts nothing it missed, starts no DAG that still runs, tries nothing twice unless told to; a local time that a
# clock change skips never comes, one that it repeats comes twice.
DEFAULTS: dict[str, Any] = {
    "catchup": "none",
    "overlap": "queue",
    "on_crash": "fail",
    "dst": {"gap": "skip", "overlap": "both"},
}


def read_dags(files: Mapping[str, str], timezone: str, is_there: IsThere = lambda _: False) -> Imported:
    """Return what the DAGs of these files become.

    `files`: absolute path → text; `timezone`: of Dagu's scheduler; `is_there`: whether a path is a file, for the `.env`
    that Dagu reads unasked.
    """
    out, library = Imported(timezone, dict(DEFAULTS)), Library(is_there=is_there)
    found: list[tuple[Sheet, str, bool]] = []
    for file, text in files.items():
        sheets = list(sheets_of(file, text, out.verdicts))
        for number, sheet in enumerate(sheets):
            found.append((sheet, _register(library, sheet, number), number == 0))
    named = [(sheet, name, is_main) for sheet, name, is_main in found if _is_dag(sheet, out)]
    for sheet, name, is_main in sorted(named, key=lambda each: not each[2]):
        if is_main or id(sheet.data) not in library.called:
            _read(out, library, sheet, name, is_main)
    out.verdicts.sort(key=lambda verdict: (verdict.file, verdict.line))
    return out


def _register(library: Library, sheet: Sheet, number: int) -> str:
    stem = sheet.file.rpartition("/")[2].rpartition(".")[0] or sheet.file.rpartition("/")[2]
    said = text_of(sheet.data.get("name"))
    name = said or (stem if number == 0 else f"{stem}-{number + 1}")
    if number == 0:
        library.by_name.setdefault(stem, sheet)
        library.by_name.setdefault(name, sheet)
    else:
        library.local.setdefault((sheet.file, name), sheet)
    return name


def _is_dag(sheet: Sheet, out: Imported) -> bool:
    if "steps" in sheet.data:
        return True
    first = next(iter(sheet.data), "")
    why = "there are no `steps` in it, so it is no DAG"
    out.verdicts.append(Verdict(sheet.file, sheet.line((first,) if first else ()), f"{first}: …", "dropped", why))
    return False


def _read(out: Imported, library: Library, sheet: Sheet, name: str, is_main: bool) -> None:
    pools = dict(out.top.get("pools", {}))
    try:
        DagReader(out, library, sheet, name, sheet.file.rpartition("/")[0], is_main).read()
    except Broken as error:
        out.top["pools"] = pools
        line = sheet.line(("steps",))
        out.verdicts.append(Verdict(sheet.file, line, f"the DAG {name}", "dropped", str(error)))


__all__ = ["DEFAULTS", "read_dags"]
