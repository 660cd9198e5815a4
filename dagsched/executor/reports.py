"""What an executor tells the daemon."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from dagsched.model import Exit


class Living(NamedTuple):
    """An attempt whose process, or something it left behind, lives."""

    run: str
    attempt: int
    pid: int


class Inventory(NamedTuple):
    """What the spawner knows.

    `recorded`: every attempt whose start was written down, those of `living` and `exits` included; what is in
    neither of the two is lost. `rebooted`: the machine was restarted since, and power loss may have taken
    records of starts. `survived`: this spawner was there before this connection.
    """

    living: tuple[Living, ...] = ()
    exits: tuple[Exit, ...] = ()
    recorded: frozenset[tuple[str, int]] = frozenset()
    rebooted: bool = False
    survived: bool = False


class Started(NamedTuple):
    """The attempt has a process."""

    run: str
    attempt: int
    pid: int
    time: datetime


class Exited(NamedTuple):
    """The attempt ended, with everything it left behind."""

    exit: Exit


class SpawnerGone(NamedTuple):
    """The spawner died and there is a new one; what nobody saw end is in `inventory.recorded` alone."""

    inventory: Inventory


class Remark(NamedTuple):
    """Something about the spawner that a person should know; it goes on."""

    text: str


Report = Started | Exited | SpawnerGone | Remark
