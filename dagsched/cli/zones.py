"""In which zone the times of each job are shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagsched.cli.times import wall

if TYPE_CHECKING:
    from dagsched.stores.contract import Store


class Zones:
    """Job id → IANA zone; jobs it does not know are shown in UTC."""

    def __init__(self, zones: Mapping[str, str] | None = None) -> None:
        self._zones = zones or {}

    def show(self, job: str, moment: datetime | None) -> str:
        """Return an instant as wall time of that job, "" for None."""
        if moment is None:
            return ""
        name = self._zones.get(job, "UTC")
        if name == "UTC":
            return wall(moment.astimezone(UTC))
        from dagsched.triggers import local

        return wall(local(moment, name))


async def zones_of(store: Store) -> Zones:
    """Return the zones that the configuration in force gives; all UTC when there is none."""
    from dagsched.cli.reading import config_in_force

    if (told := getattr(store, "zones", None)) is not None:
        return Zones(await told())  # a daemon elsewhere tells them by themselves
    found = await config_in_force(store)
    if found is None or found[1] is None:
        return Zones()
    return Zones({id: job.timezone for id, job in found[1].jobs.items()})
