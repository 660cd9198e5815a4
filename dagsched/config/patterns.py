"""Templates and matrices written out: from what a file says to the plain jobs it means.

Everything after this sees plain jobs only, and finds for each part of them the line that says it: the job's own, the
template's, a value's. A job that says neither `extends` nor `matrix` is handed on as it is.

A job is laid on its templates (`layers.py`), which may stand in another file (`shelf.py`); `matrix.py` says which
members it has; for each of them the placeholders are replaced by what their names stand for (`names.py`), and the
values become the defaults of its parameters. What may grow is counted before it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from dagsched.config.compiled import ValidationError
from dagsched.config.explain import kind_of, short, shown_value
from dagsched.config.fitting import kind_schema, schema_validator
from dagsched.config.grammar import is_pattern
from dagsched.config.layers import Layers
from dagsched.config.matrix import Combination, combinations, member_id
from dagsched.config.names import Growth, Names, TooMuch
from dagsched.config.placeholders import NAME, OPENING, Unfilled, first_in
from dagsched.config.reader import Document
from dagsched.config.report import Report
from dagsched.config.shelf import Looked, Noted, Shelf, Template
from dagsched.config.woven import Items, Refused, Said, Weave

JOBS_MAX = 20_000
_NOT_FILLED = frozenset({"params", "values", "matrix"})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_NOWHERE = Said({}, 0, 0)
_NO_ITEMS: Items = {}

Refusals = frozenset[tuple[str, str]]
"""(section, name) of templates and jobs that have not the right form, which has been told."""


class Expansion(NamedTuple):
    """What became of a file's patterns.

    `document`: the file with plain jobs only. `groups`: id of a job with a matrix → ids of its members. `broken`: ids
    of jobs that could not be made. `looked`: the templates that were looked for, and where they were. `used`: those
    that jobs of this file rest on.
    """

    document: Document
    groups: Mapping[str, tuple[str, ...]]
    broken: frozenset[str]
    looked: Looked
    used: frozenset[Template]


def write_out(document: Document, shelf: Shelf, refused: Refusals, report: Report) -> Expansion:
    """Return the file with plain jobs only."""
    return _Writer(document, Noted(shelf), refused, report).run()


def _rewritten(document: Document, looked: Looked, refused: Refusals) -> Document:
    """Return what `write_out` returned, without a word; after all data but the texts was let go."""
    return _Writer(document, Noted(None, looked), refused, Report()).run().document


def tried(template: Template, shelf: Shelf, report: Report) -> tuple[Document | None, Looked]:
    """Return a file with one job, of what a template says by itself, and the templates that were looked for.

    What hangs on values it has not got is left out. None when it rests on something that is refused.
    """
    noted = Noted(shelf)
    try:
        return _Writer(template.document, noted, frozenset(), report).trial(template.name), noted.looked
    except (Refused, TooMuch):
        return None, noted.looked


class _Writer:
    """Writes out one file."""

    def __init__(self, document: Document, shelf: Noted, refused: Refusals, report: Report) -> None:
        self._document, self._shelf, self._refused, self._report = document, shelf, refused, report
        self._weave, self._growth = Weave(document), Growth()
        templates = frozenset(name for section, name in refused if section == "templates")
        self._layers = Layers(document, self._weave, shelf, templates, self._tell, report.guess)
        self._made: Items = {}
        self._members: dict[str, str] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._broken: set[str] = set()
        self._count, self._is_too_much = 0, False
        self._job_id, self._whole, self._ok = "", _NO_ITEMS, True

    def run(self) -> Expansion:
        said = self._document.data.get("jobs", {})
        jobs = self._weave.items(said) if isinstance(said, dict) and said else {}
        for id, each in jobs.items():
            if is_pattern(each.value):
                self._write(id, each, jobs)
            else:
                self._made[id] = each
        document = self._document
        if isinstance(said, dict):
            document = self._with_jobs(self._made)
            document.again = partial(_rewritten, self._document, self._shelf.looked, self._refused)
        used = frozenset(self._layers.used)
        return Expansion(document, self._groups, frozenset(self._broken), self._shelf.looked, used)

    def trial(self, name: str) -> Document:
        """Return a file whose one job is what the template says by itself."""
        whole = self._whole = self._layers.of_template(name)
        names = Names(_mapping(whole, "params"), self._given(whole), self._weave, self._growth)
        axes = _axes(_mapping(whole, "matrix"))
        try:
            self._shell_text(whole)
        except Refused:
            whole = {key: each for key, each in whole.items() if key != "run"}
        said = {}
        for key, each in whole.items():
            try:
                said[key] = each._replace(value=each.value if key in _NOT_FILLED else names.fill(each))
            except Unfilled as unfilled:
                if unfilled.reason not in ("missing", "broken") and unfilled.name not in axes:
                    self._tell_unfilled(unfilled, each)
        for key in ("values", "matrix"):
            said.pop(key, None)
        at = self._weave.items(self._weave.items(self._document.data)["templates"].value)[name]
        if "run" not in said and "handler" not in said:
            said["run"] = at._replace(value="true")
        return self._with_jobs({name: at._replace(value=self._weave.mapping(said))})

    def _with_jobs(self, jobs: Items) -> Document:
        root = {name: said for name, said in self._weave.items(self._document.data).items() if name != "templates"}
        root["jobs"] = root.get("jobs", _NOWHERE)._replace(value=self._weave.mapping(jobs))
        return Document(self._weave.source, self._weave.mapping(root), self._weave.all_marks(), self._members)

    # ------------------------------------------------------------ one job

    def _write(self, id: str, said: Said, jobs: Items) -> None:
        self._job_id = id
        if ("jobs", id) in self._refused or self._is_too_much:
            self._broken.add(id)
            return
        try:
            whole = self._whole = self._layers.of_job(self._weave.items(said.value))
            for member, raw in self._members_of(id, whole):
                if member != id and (member in jobs or member in self._made):
                    self._twice(id, member, whole)
                else:
                    self._made[member] = said._replace(value=raw)
                    self._members[member] = id
        except TooMuch:
            self._too_much(id, said)
            self._give_up()
            self._broken.add(id)
        except Refused:
            self._broken.add(id)
        if id in self._broken and id in self._groups:
            del self._groups[id]

    def _give_up(self) -> None:
        """Make no more of what comes to too much, and forget what was made of it."""
        self._is_too_much = True
        for member, id in self._members.items():
            del self._made[member]
            self._broken.update((member, id))
        self._members.clear()
        self._groups.clear()

    def _members_of(self, id: str, whole: Items) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (id, plain job) of each member; of a job without a matrix, of itself. Raises Refused, TooMuch."""
        params = _mapping(whole, "params")
        given = self._given(whole)
        self._unknown_values(whole, params)
        members = self._combinations(id, whole, params, given)
        self._count += len(members) if "matrix" in whole else 0
        if self._count > JOBS_MAX:
            self._too_many(id, whole["matrix"])
        size = sum(self._growth.size(each.value)[0] + 1 for key, each in whole.items() if key != "matrix")
        self._growth.add(size * len(members))
        self._shell_text(whole)
        if "matrix" in whole:
            self._groups[id] = tuple(name for name, _ in members)
        for name, combination in members:
            self._job_id = name
            raw = self._member(whole, params, {**given, **combination.values}, combination.values)
            if raw is None:
                self._broken.update((id, name))
            else:
                yield name, raw
        self._job_id = id

    def _combinations(
        self, id: str, whole: Items, params: Mapping[str, Any], given: Items
    ) -> list[tuple[str, Combination]]:
        matrix = whole.get("matrix")
        if matrix is None:
            return [(id, Combination({}, ()))]
        found = combinations(self._filled_matrix(matrix, params, given), self._weave, self._tell)
        return [(member_id(id, each, self._tell), each) for each in found]

    def _filled_matrix(self, matrix: Said, params: Mapping[str, Any], given: Items) -> Said:
        if not self._growth.size(matrix.value)[1]:
            return matrix
        try:
            made = matrix._replace(value=Names(params, given, self._weave, self._growth).fill(matrix))
        except Unfilled as unfilled:
            self._tell_unfilled(unfilled, matrix)
            raise Refused from None
        for name, axis in self._weave.items(made.value).items():
            self._must_be_axis(name, axis)
        return made

    def _must_be_axis(self, name: str, axis: Said) -> None:
        fits = isinstance(axis.value, list) and axis.value
        wanted = dict if name in ("include", "exclude") else (str, int, float)
        if not fits or not all(isinstance(each, wanted) for each in axis.value):
            self._tell(
                "E103",
                axis,
                f"'{name}' must be a list of {'mappings' if wanted is dict else 'single values'}, "
                f"not {kind_of(axis.value)}",
                "each of its values makes jobs of its own",
                "give the parameter such a list",
            )
            raise Refused

    def _member(self, whole: Items, params: Mapping[str, Any], said: Items, axes: Items) -> dict[str, Any] | None:
        """Return the plain job, None after telling why there is none."""
        names = Names(params, said, self._weave, self._growth)
        self._ok = True
        known = names.all(self._tell_unfilled)
        self._must_fit(params, known)
        made = {}
        for key, each in whole.items():
            if key in _NOT_FILLED:
                continue
            try:
                value = names.fill(each)
            except Unfilled as unfilled:
                self._tell_unfilled(unfilled, each)
                continue
            made[key] = each if value is each.value else each._replace(value=value)
        self._must_be_given(whole, params, known)
        if "params" in whole and not isinstance(whole["params"].value, dict):
            made["params"] = whole["params"]  # which is told when the job is checked
        elif params or axes:
            made["params"] = self._params(whole, known, axes)
        return self._weave.mapping(made) if self._ok else None

    def _params(self, whole: Items, known: Items, axes: Items) -> Said:
        """Return the job's parameters, with what is given for them as their defaults."""
        at = whole.get("params") or next(iter(axes.values()))
        declared = self._weave.items(at.value) if "params" in whole else {}
        for name, value in known.items():
            schema = declared.get(name)
            if schema is None:
                kind = {key: value._replace(value=each) for key, each in kind_schema(value.value).items()}
                declared[name] = value._replace(value=self._weave.mapping({**kind, "default": value}))
            elif isinstance(schema.value, dict) and schema.value.get("default", _NOWHERE) is not value.value:
                said = {**self._weave.items(schema.value), "default": value}
                declared[name] = schema._replace(value=self._weave.mapping(said))
        return at._replace(value=self._weave.mapping(declared))

    def _given(self, whole: Items) -> Items:
        """Return by name what `values` says, and else the default of the parameter."""
        found: Items = {}
        if not isinstance(_value(whole, "params"), dict):
            return found
        if whole["params"].value:
            for name, schema in self._weave.items(whole["params"].value).items():
                default = self._weave.items(schema.value).get("default") if isinstance(schema.value, dict) else None
                if default is not None:
                    found[name] = default
        if isinstance(_value(whole, "values"), dict):
            given = self._weave.items(whole["values"].value)
            found.update((name, said) for name, said in given.items() if name in whole["params"].value)
        return {name: said for name, said in found.items() if said.value is not None}

    # ------------------------------------------------------------ what may be wrong with it

    def _shell_text(self, whole: Items) -> None:
        """Refuse placeholders in what a shell reads: a value would be read as part of the program."""
        run = whole.get("run")
        if run is None or not self._growth.size(run.value)[1]:
            return
        texts = [run] if isinstance(run.value, str) else list(self._read_by_shell(run))
        for said in texts:
            found = first_in(said.value) if isinstance(said.value, str) else None
            if found is not None:
                name, offset, length = found
                span = self._weave.source.inside(said.at, said.value, offset, length)
                is_name = not name.startswith(OPENING)
                self._tell(
                    "E404",
                    said,
                    "a placeholder stands in shell text",
                    "nothing is ever pasted into what a shell reads: a value with a quote or a ; would be a program",
                    f'use "$DAGSCHED_PARAM_{name.upper()}", which has the value' if is_name else "remove it",
                    span=span,
                )
                raise Refused

    def _read_by_shell(self, run: Said) -> Iterator[Said]:
        """Yield the item of an argv that a shell reads: `[sh, -c, TEXT]`."""
        items = list(self._weave.listed(run.value)) if isinstance(run.value, list) else []
        if len(items) > 2 and str(items[0].value).rpartition("/")[2] in _SHELLS:
            for option, text in pairwise(items):
                if str(option.value).startswith("-") and str(option.value).endswith("c"):
                    yield text

    def _unknown_values(self, whole: Items, params: Mapping[str, Any]) -> None:
        if not isinstance(_value(whole, "values"), dict):
            return
        for name, said in self._weave.items(whole["values"].value).items():
            if name not in params:
                meant = self._report.guess(name, params)
                self._tell(
                    "E405",
                    said,
                    f"there is no parameter '{short(name)}' to give a value to",
                    f"the templates declare {', '.join(map(short, params)) or 'none'}",
                    f"did you mean '{meant}'?" if meant else "remove it, or declare it under params:",
                    key=name,
                )

    def _must_be_given(self, whole: Items, params: Mapping[str, Any], known: Items) -> None:
        """Report parameters without a value, if nobody is there to give one when the job starts."""
        if "schedule" not in whole and "depends_on" not in whole:
            return
        for name in params:
            if name not in known and isinstance(params[name], dict) and params[name].get("default") is None:
                self._not_given(name, whole)

    def _not_given(self, name: str, whole: Items) -> None:
        self._ok = False
        place = whole.get("values") or self._weave.items(whole["params"].value)[name]
        self._tell(
            "E406",
            place,
            f"the parameter '{name}' has no value",
            "a job that extends a template says what its parameters are, unless they have defaults",
            f"add it: values: {{{name}: ...}}",
            key="values" if "values" in whole else name,
        )

    def _must_fit(self, params: Mapping[str, Any], known: Items) -> None:
        for name, said in known.items():
            schema = params.get(name)
            if isinstance(schema, dict) and said.value is not schema.get("default", _NOWHERE):
                try:
                    fits = schema_validator(schema).is_valid(said.value)
                except (ValidationError, ValueError):
                    continue  # the schema itself is told where it is checked
                if not fits:
                    self._ok = False
                    self._tell(
                        "E407",
                        said,
                        f"the value {shown_value(said.value)} does not fit the parameter '{name}'",
                        "a value must satisfy the parameter's schema",
                        "change the value, or the schema",
                    )

    def _twice(self, id: str, member: str, whole: Items) -> None:
        self._tell(
            "E203",
            whole.get("matrix", _NOWHERE),
            f"the matrix of '{id}' makes the job '{member}', which there is already",
            "all files together are one namespace",
            "rename the other one, or choose values that differ",
            key="matrix",
        )

    def _too_many(self, id: str, matrix: Said) -> None:
        self._tell(
            "E410",
            matrix,
            f"the matrices of this file make more than {JOBS_MAX:,} jobs",
            "so many are held in memory as a whole",
            "drop an axis, or let one job work through a list",
            key="matrix",
        )
        self._give_up()
        raise Refused

    def _too_much(self, id: str, said: Said) -> None:
        self._tell(
            "E412",
            said,
            f"with '{id}' the templates and matrices of this file come to more than a file may hold",
            "what is repeated is multiplied by what repeats it",
            "make fewer jobs, or let them say less each",
            key=id,
        )

    def _tell_unfilled(self, unfilled: Unfilled, said: Said) -> None:
        self._ok = False
        whole = self._whole
        if unfilled.reason == "broken":
            return
        if unfilled.reason == "missing" and unfilled.name in _mapping(whole, "params"):
            self._not_given(unfilled.name, whole)
            return
        at = unfilled.at or said
        text = str(at.value)
        span = self._weave.source.inside(at.at, text, unfilled.offset, unfilled.length)
        if unfilled.reason == "key":
            span = self._weave.source.extent(at.key, unfilled.name)
        code, message, why, fix = self._words(unfilled, whole)
        self._tell(code, at, message, why, fix, span=span)

    def _words(self, unfilled: Unfilled, whole: Items) -> tuple[str, str, str, str]:
        """Return code, message, why and fix."""
        name = short(unfilled.name)
        if unfilled.reason == "unknown":
            known = {*_mapping(whole, "params"), *_axes(_mapping(whole, "matrix"))}
            meant = self._report.guess(unfilled.name, known)
            fix = f"did you mean '{meant}'?" if meant else "declare it under params:, or write $${{ for ${{ itself"
            why = f"a placeholder names a parameter or an axis; here {', '.join(sorted(known)) or 'there is none'}"
            return "E403", f"unknown placeholder '{name}'", why, fix
        if unfilled.reason == "unclear":
            return "E404", f"{shown_value(unfilled.name)} is no placeholder", *_clearer(unfilled.name)
        return _WORDS[unfilled.reason][0], _WORDS[unfilled.reason][1].format(name=name), *_WORDS[unfilled.reason][2:]

    def _tell(
        self,
        code: str,
        said: Said,
        message: str,
        why: str,
        fix: str,
        *,
        key: str = "",
        span: tuple[int, int] | None = None,
    ) -> None:
        source = self._weave.source
        where = span or source.extent(said.key if key else said.at, key or said.value)
        problem = source.problem(code, where, message, why, fix)
        self._report.take(problem._replace(job=self._job_id, jobs=1, via=self._document.source.name))


def _value(whole: Items, key: str) -> Any:
    return whole[key].value if key in whole else None


def _mapping(whole: Items, key: str) -> Mapping[str, Any]:
    value = _value(whole, key)
    return value if isinstance(value, dict) else {}


def _axes(matrix: Mapping[str, Any]) -> set[str]:
    """Return every name that a matrix gives a value to, as far as it is what it should be."""
    found = {name for name in matrix if name not in ("include", "exclude")}
    included = matrix.get("include")
    for entry in included if isinstance(included, list) else ():
        found.update(entry if isinstance(entry, dict) else ())
    return found


_PREFIXED = re.compile(rf"\$\{{\{{[ \t]*(?:matrix|params|inputs|values|item|each)\.({NAME})[ \t]*\}}\}}")


def _clearer(text: str) -> tuple[str, str]:
    """Return why a text is no placeholder, and what to write."""
    why = "a placeholder is ${{ name }}, with the name of a parameter or of an axis of the matrix"
    prefixed = _PREFIXED.fullmatch(text)
    fix = f"write ${{{{ {prefixed[1]} }}}}" if prefixed else "correct it, or write $${{ for ${{ itself"
    return why, fix


_WORDS: dict[str, tuple[str, str, str, str]] = {
    "circle": ("E403", "the value of '{name}' leads back to itself", "it would have no end", "write one of them out"),
    "compound": (
        "E404",
        "the value of '{name}' cannot stand inside text",
        "a list or mapping is taken over only where the placeholder is the whole value",
        "give it a single value",
    ),
    "key": ("E404", "a placeholder stands in a key", "only values are replaced", "put it on the value's side"),
}
