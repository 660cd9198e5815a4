"""A cgroup (version 2) around the spawner and so around every attempt, where one may be made.

One `mkdir` per spawner and nothing per attempt. While the spawner lives the group does nothing. When the
spawner was killed, its successor kills all that is left with one write to `cgroup.kill` (Linux 5.14), also
processes that cleared their environment and left their session. Where no cgroup may be made (no delegation,
version 1, a container), marks and sessions are what is left, and nothing here raises.
"""

from __future__ import annotations

import os


def own_cgroup() -> str:
    """Return the folder of this process's version 2 cgroup, "" when there is none."""
    try:
        with open("/proc/self/cgroup") as file:
            path = next(line[3:].rstrip("\n") for line in file if line.startswith("0::"))
        with open("/proc/self/mountinfo") as file:
            mounts = [line.split() for line in file if " - cgroup2 " in line]
    except (OSError, StopIteration):
        return ""
    # Only a mount of the whole tree (root `/`) can be joined with the path.
    roots = [fields[4] for fields in mounts if fields[3] == "/"]
    return (roots[0] + path).rstrip("/") if roots else ""


def enter(name: str) -> str:
    """Make a cgroup of that name below the own one and move into it; return its folder, or ""."""
    above = own_cgroup()
    folder = f"{above}/{name}"
    if not above:
        return ""
    try:
        os.makedirs(folder, exist_ok=True)
        _write(folder + "/cgroup.procs", str(os.getpid()))
    except OSError:
        return ""
    return folder


def leave(folder: str) -> None:
    """Move out of a cgroup made by `enter` and remove it; one still in use stays."""
    if not folder:
        return
    try:
        _write(os.path.dirname(folder) + "/cgroup.procs", str(os.getpid()))
    except OSError:
        return
    remove(folder)


def remove(folder: str) -> None:
    """Remove a cgroup that nobody is in; one still in use stays."""
    try:
        os.rmdir(folder)
    except OSError:
        return


def members(folder: str) -> set[int]:
    """Return the processes in a cgroup and those below it; none when it is gone."""
    found: set[int] = set()
    for parent, _, names in os.walk(folder):
        if "cgroup.procs" in names:
            found |= _pids(parent + "/cgroup.procs")
    return found


def kill(folder: str) -> None:
    """KILL everything in a cgroup with one write, where the kernel can."""
    try:
        _write(folder + "/cgroup.kill", "1")
    except OSError:
        return


def _pids(path: str) -> set[int]:
    try:
        with open(path) as file:
            return {int(line) for line in file}
    except OSError:
        return set()


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
