"""Killing what an earlier spawner left when it was killed itself.

Its attempts have lost their parent, their log's owner and their timeout, and nobody will see their exit:
they are `lost`, and a next attempt may start only when nothing of them lives. They get KILL, and whoever
calls this waits until they are gone. Three nets, widest first: the old spawner's cgroup; the mark in
/proc/PID/environ; the session of each recorded process, which must be the recorded one (pid and start time).
"""

from __future__ import annotations

import os
import signal
import time

from . import cgroups, processes
from .say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .journal import Past

_PATIENCE_S = 5.0
_UNREAD_S = 1.0


def kill(past: Past, state_id: str) -> int:
    """Kill what is left of the attempts that `past` has no exit of; return how many processes that were.

    Returns when all of them are dead, however long that takes. Does nothing after a reboot.
    """
    if past.boot != processes.boot_id():
        return 0
    killed: set[tuple[int, int]] = set()
    began, told = time.monotonic(), False
    pause_s = 0.001
    while (found := _find(past, state_id)) or (_is_unsure(past) and time.monotonic() - began < _UNREAD_S):
        cgroups.kill(past.cgroup) if _outside(past.cgroup) else None
        for each in found:
            processes.send(each.pid, signal.SIGKILL)
            killed.add((each.pid, each.start))
        if not told and time.monotonic() - began > _PATIENCE_S:
            told = True
            pids = ", ".join(str(each.pid) for each in found)
            say(f"waiting for the death of processes that were killed: {pids}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.1)
    return len(killed)


def _outside(folder: str) -> bool:
    """Whether this process is not itself below that cgroup, as a daemon started by an attempt would be."""
    return bool(folder) and not (cgroups.own_cgroup() + "/").startswith(folder + "/")


def _find(past: Past, state_id: str) -> list[processes.Stat]:
    every = {each.pid: each for each in processes.all_stats() if each.alive}
    guilty = _in_cgroup(past, every) | _marked(past, state_id, every) | _in_session(past, every)
    guilty |= _below(guilty, every)
    return [every[pid] for pid in guilty - _self_and_above(every)]


def _in_cgroup(past: Past, every: dict[int, processes.Stat]) -> set[int]:
    if not _outside(past.cgroup):
        return set()
    return cgroups.members(past.cgroup) & every.keys()


def _marked(past: Past, state_id: str, every: dict[int, processes.Stat]) -> set[int]:
    marks = {f"{state_id}/{run}/{attempt}" for run, attempt in past.open}
    return {pid for pid in every if marks and processes.mark(pid) in marks}


def _is_unsure(past: Past) -> bool:
    """Whether a process that may carry one of the marks is in the middle of an exec, where none can be seen."""
    first = min((record["ticks"][0] for record in past.processes.values()), default=None)
    if first is None:
        return False
    return any(each.alive and each.start >= first and processes.is_in_exec(each) for each in processes.all_stats())


def _in_session(past: Past, every: dict[int, processes.Stat]) -> set[int]:
    guilty: set[int] = set()
    for record in past.processes.values():
        session, (first, last) = record["pid"], record["ticks"]
        leader = every.get(session)
        if leader is not None and not first <= leader.start <= last:
            continue  # the number is another's by now
        guilty |= {pid for pid, each in every.items() if each.session == session and each.start >= first}
    return guilty


def _below(guilty: set[int], every: dict[int, processes.Stat]) -> set[int]:
    found: set[int] = set()
    fresh = guilty
    while fresh:
        fresh = {each.pid for each in every.values() if each.parent in fresh} - found - guilty
        found |= fresh
    return found


def _self_and_above(every: dict[int, processes.Stat]) -> set[int]:
    spared, pid = {0, 1}, os.getpid()
    while pid in every and pid not in spared:
        spared.add(pid)
        pid = every[pid].parent
    return spared
