"""Old names of time zones and the names that replaced them.

The tz database keeps every name it ever had as a link. A link is only worth a remark when its name is a
matter of history (`US/Eastern`, `Asia/Calcutta`): `Europe/Oslo` is a link as well, but it is also the name
that zone.tab gives to Norway. So a name is old when `tzdata.zi` links it and `zone.tab` does not list it.
Both come with the `tzdata` package.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

# A link leads to a zone with the same clock, which may be another country's. The `#=` comments of tzdb's
# `backward` file name the place that is meant.
_SAME_PLACE = {
    "Africa/Asmera": "Africa/Asmara",
    "Africa/Timbuktu": "Africa/Bamako",
    "America/Coral_Harbour": "America/Atikokan",
    "America/Virgin": "America/St_Thomas",
    "Antarctica/South_Pole": "Antarctica/McMurdo",
    "Atlantic/Jan_Mayen": "Arctic/Longyearbyen",
    "Iceland": "Atlantic/Reykjavik",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
    "Pacific/Yap": "Pacific/Chuuk",
}
_IN_GOOD_USE = frozenset({"UTC", "GMT"})


def replacement_of(name: str) -> str | None:
    """Return today's name of a zone whose name is out of date, None when the name is in good use.

    >>> replacement_of("US/Eastern"), replacement_of("Zulu"), replacement_of("Europe/Oslo")
    ('America/New_York', 'UTC', None)
    """
    if name in _IN_GOOD_USE or name.startswith("Etc/") or name in _listed():
        return None
    target = _SAME_PLACE.get(name) or _old_names().get(name)
    return target.removeprefix("Etc/") if target in ("Etc/UTC", "Etc/GMT") else target


@lru_cache(maxsize=1)
def _old_names() -> dict[str, str]:
    """Return old name → name in use; empty when the package holds no such tables."""
    links, listed = _table("tzdata.zi"), _listed()
    if not links or not listed:
        return {}
    found = dict(line.split()[2:0:-1] for line in links.splitlines() if line.startswith("L "))
    return {name: found.get(target, target) for name, target in found.items() if name not in listed}


@lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    """Return the names that zone.tab gives to places: most schedules use these, and the longer table is not read."""
    rows = [line for line in _table("zone.tab").splitlines() if line and not line.startswith("#")]
    return frozenset(row.split("\t")[2] for row in rows)


def _table(name: str) -> str:
    """Return a table of the package; "" when it holds none: the remark is left out, nothing else."""
    package = find_spec("tzdata")
    if package is None or not package.submodule_search_locations:
        return ""
    try:
        return (Path(package.submodule_search_locations[0]) / "zoneinfo" / name).read_text(encoding="utf-8")
    except OSError:  # a distribution's repackaged tzdata
        return ""
