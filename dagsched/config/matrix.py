"""One job for each combination of values: `matrix` with `include` and `exclude`, as GitHub's workflows read them.

The axes multiply, the first one slowest. An `exclude` entry takes away every combination that has all its values. An
`include` entry adds its values to every combination whose axes it does not contradict; if there is none, it is a
combination of its own. A member is named by its values on the axes; one without any axis by its first value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from math import prod
from typing import Any, NamedTuple

from dagsched.config.explain import shown_value
from dagsched.config.placeholders import in_text
from dagsched.config.woven import Items, Refused, Said, Weave

MEMBERS_MAX = 1_000
# So many are looked at before `exclude` has its say, and so many times is one compared with an entry.
COMBINATIONS_MAX = 10_000
COMPARISONS_MAX = 500_000
ID_CHARACTERS_MAX = 128
_FIT_FOR_ID = re.compile(r"[A-Za-z0-9_.-]+")

Tell = Callable[[str, Said, str, str, str], None]
"""Told of (code, what it is about, message, why, fix)."""


class Combination(NamedTuple):
    """The values of one member by name, and those that name it."""

    values: Items
    named_by: tuple[Said, ...]


def combinations(matrix: Said, weave: Weave, tell: Tell) -> list[Combination]:
    """Return the combinations in order, from 1 to MEMBERS_MAX; raises Refused after telling why there are none."""
    said = weave.items(matrix.value)
    axes = {name: list(weave.listed(each.value)) for name, each in said.items() if name not in ("include", "exclude")}
    entries = {key: _entries(said.get(key), weave) for key in ("include", "exclude")}
    count = prod(map(len, axes.values())) if axes else 0
    compared = count * (len(entries["include"]) + len(entries["exclude"]))
    if count > COMBINATIONS_MAX or compared > COMPARISONS_MAX:
        raise _too_many(count, matrix, tell)
    left = _left(_whole(axes), entries["exclude"], axes, tell)
    found = _with_included(left, entries["include"], axes)
    if not found:
        tell("E408", matrix, "the matrix leaves no job", "everything is excluded", "exclude less, or include something")
        raise Refused
    if len(found) > MEMBERS_MAX:
        raise _too_many(len(found), matrix, tell)
    return [Combination(values, _names(values, axes)) for values in found]


def member_id(id: str, combination: Combination, tell: Tell) -> str:
    """Return the id of a member, `report.eu.small`; raises Refused after telling why it can be none."""
    parts = [id]
    for said in combination.named_by:
        part = in_text(said.value)
        if not _FIT_FOR_ID.fullmatch(part):
            tell(
                "E409",
                said,
                f"{shown_value(said.value)} cannot be part of a job id",
                f"the jobs of the matrix of '{id}' are named by their values, of letters, digits, _, . and -",
                "name it by such a word, and say under include what else belongs to it",
            )
            raise Refused
        parts.append(part)
    name = ".".join(parts)
    if len(name) > ID_CHARACTERS_MAX:
        tell(
            "E409",
            combination.named_by[-1],
            f"the job id '{name[:40]}...' has {len(name)} characters",
            f"a job id has at most {ID_CHARACTERS_MAX}",
            "shorten the values or the id",
        )
        raise Refused
    return name


def _entries(said: Said | None, weave: Weave) -> list[tuple[Said, Items]]:
    return [(each, weave.items(each.value)) for each in weave.listed(said.value)] if said else []


def _whole(axes: Mapping[str, list[Said]]) -> Iterator[Items]:
    if axes:
        yield from (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))


def _left(
    whole: Iterator[Items], excluded: list[tuple[Said, Items]], axes: Mapping[str, list[Said]], tell: Tell
) -> list[Items]:
    """Return the combinations that no entry excludes, and tell of entries that exclude none."""
    for _, entry in excluded:
        for name, said in entry.items():
            if name not in axes:
                tell(
                    "E411",
                    said,
                    f"exclude names '{name}', which is no axis of the matrix",
                    f"the axes are {', '.join(axes) or 'none'}",
                    "name an axis, or remove it",
                )
                raise Refused
    used = [False] * len(excluded)
    left = []
    for values in whole:
        fits = [number for number, (_, entry) in enumerate(excluded) if _agrees(entry, values)]
        for number in fits:
            used[number] = True
        if not fits:
            left.append(values)
    for (said, _), was_used in zip(excluded, used, strict=True):
        if not was_used:
            tell(
                "W402",
                said,
                "this entry excludes no job",
                "no combination has all its values",
                "correct or remove it",
            )
    return left


def _with_included(
    left: list[Items], included: list[tuple[Said, Items]], axes: Mapping[str, list[Said]]
) -> list[Items]:
    found = [dict(values) for values in left]
    added: list[Items] = []
    for _, entry in included:
        own = {name: said for name, said in entry.items() if name in axes}
        hosts = [values for values in found if _agrees(own, values)]
        for values in hosts:
            values.update((name, said) for name, said in entry.items() if name not in own)
        if not hosts:
            added.append(entry)
    return found + added


def _agrees(entry: Items, values: Items) -> bool:
    return all(_same(said.value, values[name].value) for name, said in entry.items())


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _names(values: Items, axes: Mapping[str, list[Said]]) -> tuple[Said, ...]:
    on_axes = tuple(values[name] for name in axes if name in values)
    return on_axes or tuple(values.values())[:1]


def _too_many(count: int, matrix: Said, tell: Tell) -> Refused:
    tell(
        "E410",
        matrix,
        f"the matrix makes {count:,} jobs",
        f"one matrix may make {MEMBERS_MAX:,}, and all of a file 20,000",
        "drop an axis, or let one job work through a list",
    )
    return Refused()
