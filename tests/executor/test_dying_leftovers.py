"""A leftover that dies while it is looked at, and leaves a child: both belong to the attempt that they come from.

The instants at which that goes wrong are microseconds long, so the kernel's answers are played.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagsched.spawner import processes
from dagsched.spawner.attempt import Attempt
from dagsched.spawner.family import Family
from dagsched.spawner.forks import Forks

MAIN, NEIGHBOUR, DYING, CHILD = 100, 101, 102, 103


def attempt(name: str, pid: int, start: int) -> Attempt:
    made = Attempt({"run": f"job:{name}:2026-11-23T14:00:00Z", "attempt": 1, "grace_s": 1})
    made.pid, made.start_ticks = pid, (start, start)
    return made


class Kernel:
    """Answers as /proc does. `before_stat`, `before_mark`: what happens just before DYING is looked at in that way."""

    def __init__(self) -> None:
        self.states = {NEIGHBOUR: "R", DYING: "R"}
        self.has_memory = True
        self.marks = {DYING: "x/job:a:2026-11-23T14:00:00Z/1", CHILD: "x/job:a:2026-11-23T14:00:00Z/1"}
        self.killed: list[int] = []
        self.before_stat: Callable[[], None] = lambda: None
        self.before_mark: Callable[[], None] = lambda: None

    def dies(self) -> None:
        """DYING is a zombie, and its child comes to us."""
        self.states |= {DYING: "Z", CHILD: "S"}
        self.has_memory = False

    def gives_up_memory(self) -> None:
        self.has_memory = False

    def children(self) -> list[int]:
        return list(self.states)

    def stat(self, pid: int) -> processes.Stat | None:
        if pid == DYING:
            self.before_stat()
        # Each of them in a session of its own.
        memory = "0" if pid == DYING and not self.has_memory else "4096"
        head = f"{pid} (x) {self.states[pid]} 1 {pid} {pid} " + "0 " * 15 + f"500 {memory} 0 0 4096 "
        return processes.Stat(pid, (head + "0 " * 20 + "8192 9000 0").encode())

    def mark_if_told(self, pid: int) -> str | None:
        if pid == DYING:
            self.before_mark()
            return self.marks[pid] if self.has_memory else ""
        return self.marks.get(pid, "")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(processes.OwnChildren, "listed", lambda _: kernel.children())
    monkeypatch.setattr(processes, "stat", kernel.stat)
    monkeypatch.setattr(processes, "mark_if_told", kernel.mark_if_told)
    monkeypatch.setattr(processes, "outputs", lambda pid: set())
    monkeypatch.setattr(processes, "send", lambda pid, number: kernel.killed.append(pid))
    return kernel


@pytest.fixture
def family(kernel: Kernel) -> Family:
    family = Family(Forks(lambda: None, lambda *_: None, lambda fd: None))
    family.add(first := attempt("a", MAIN, 400))
    first.status = 0  # its main process has just been reaped
    family.add(attempt("b", NEIGHBOUR, 450))
    return family


def strays(family: Family) -> dict[str, set[int]]:
    return {key[0].split(":")[1]: set(each.strays) for key, each in family.living.items()}


@pytest.mark.parametrize("moment", ["before_stat", "before_mark"])
def test_what_dies_while_it_is_looked_at_has_its_child_found_and_is_nobody_elses(
    kernel: Kernel, family: Family, moment: str
) -> None:
    setattr(kernel, moment, kernel.dies)
    family.find_strays()
    assert strays(family) == {"a": {CHILD}, "b": set()}
    assert kernel.killed == []


def test_what_has_given_up_its_memory_and_is_not_dead_yet_keeps_its_attempt_from_ending(
    kernel: Kernel, family: Family
) -> None:
    kernel.before_mark = kernel.gives_up_memory
    family.find_strays()
    assert strays(family) == {"a": set(), "b": set()}
    ours = next(each for each in family.living.values() if each.pid == MAIN)
    assert family.is_undecided(ours)
    kernel.dies()
    family.find_strays()
    assert strays(family) == {"a": {CHILD}, "b": set()}
    assert not family.is_undecided(ours)
