"""The plain items of a cron field → numbers, expanded by croniter.

croniter sees one field at a time, beside four stars, after our own grammar has accepted it: no date, no time
zone and none of the special days. What it would misread never reaches it:

- an item that names a single value: `9-9` and `9-9/2` are read like `*` and `*/2`, and so is a last value with a
  step (`59/5` in croniter 6, weekday `7/2` in 6 and 7);
- `L`, `nW`, `Lk` and `mon#2`: they depend on the month, and croniter joins `#` and a day differently.

A field that names every value (`0-23`) comes back as `*`. The values are the same; that the *text* has no star,
which makes a fixed-time job, is remembered by the field and not asked of croniter.
"""

from __future__ import annotations

from collections.abc import Sequence

# What croniter makes of items that stand in most crontabs, by field: to load it takes longer than to check a file, and
# each item that it expands as long as four jobs.
WELL_KNOWN: dict[tuple[int, str], range] = {
    **{(0, f"*/{step}"): range(0, 60, step) for step in (2, 3, 4, 5, 6, 10, 12, 15, 20, 30)},
    **{(1, f"*/{step}"): range(0, 24, step) for step in (2, 3, 4, 6, 8, 12)},
    **{(3, f"*/{step}"): range(1, 13, step) for step in (2, 3, 4, 6)},
    **dict.fromkeys([(4, "mon-fri"), (4, "1-5"), (4, "MON-FRI")], range(1, 6)),
    **{(1, f"{low}-{high}"): range(low, high + 1) for low in range(24) for high in range(low + 1, 24)},
}


def expand(position: int, items: Sequence[str], full: range) -> set[int]:
    """Return the values of those items of the field at `position` (0 minute .. 4 weekday); Sunday is 0.

    `full` is what a star stands for. The items are valid, plain and name more than one value each.

    >>> sorted(expand(1, ["9-17/4", "*/12"], range(24)))
    [0, 9, 12, 13, 17]
    """
    known = [WELL_KNOWN.get((position, item)) for item in items]
    if None not in known:
        return {value for values in known if values is not None for value in values}
    # Imported late: many job files name only stars, single values and these, and reading them stays quick.
    from croniter import croniter  # type: ignore[import-untyped,unused-ignore]  # stubs are a package apart

    fields = ["*"] * 5
    fields[position] = ",".join(items).replace("?", "*")  # `?/2` is `*/2`, which croniter knows for days alone
    values = croniter.expand(" ".join(fields))[0][position]
    return set(full) if values == ["*"] else {int(value) for value in values}
