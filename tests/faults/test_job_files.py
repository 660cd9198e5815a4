"""Bad job files, put under a daemon that runs: the last good one stays, and what is due starts within a second."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from dagsched.model import parse_instant
from tests.daemon.served import Event, Served, environment
from tests.faults.job_files import ENDLESS, GOOD, HOSTILE
from tests.faults.machine import at_most, bare_start_s
from tests.faults.memory import forget_peak, peak_kb

MEMORY_MB_MAX = 100
EDITS_PER_S = 1000

MEASURED = """
import resource, sys
from dagsched.cli import main
code = main(sys.argv[1:])
peak_kb = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
used = resource.getrusage(resource.RUSAGE_SELF)
print(code, peak_kb, used.ru_utime + used.ru_stime, file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory as Linux tells it")
@pytest.mark.parametrize("name", [name for name in HOSTILE if name != ENDLESS])
def test_a_hostile_file_is_refused_soon_and_in_little_memory(name: str, tmp_path: Path):
    content, code = HOSTILE[name]
    (tmp_path / "jobs.yaml").write_bytes(content)
    command = [sys.executable, "-c", MEASURED, "validate", "--json", "jobs.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment(), check=True)
    exit_code, peak, cpu_s = done.stderr.split()
    assert json.loads(done.stdout.splitlines()[0])["code"] == code
    assert exit_code == "3"
    assert int(peak) * 1024 / 1e6 < MEMORY_MB_MAX
    assert float(cpu_s) < at_most(1)


def test_a_file_of_nothing_but_mistakes_does_not_fill_the_memory(tmp_path: Path):
    content, _ = HOSTILE[ENDLESS]
    (tmp_path / "jobs.yaml").write_bytes(content)
    command = [sys.executable, "-c", MEASURED, "validate", "--json", "jobs.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment(), check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == 1001
    assert told[-1]["message"] == "99,000 more of these jobs are not right"
    _, peak, cpu_s = done.stderr.splitlines()[-1].split()
    assert int(peak) * 1024 / 1e6 < 2 * MEMORY_MB_MAX
    assert float(cpu_s) < at_most(2)


def in_place(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def by_rename(file: Path, content: bytes) -> None:
    beside = file.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(file)


def by_link(file: Path, content: bytes) -> None:
    target = file.with_name("elsewhere.txt")
    target.write_bytes(content)
    link = file.with_suffix(".link")
    link.symlink_to(target)
    link.replace(file)


WAYS: list[Callable[[Path, bytes], None]] = [in_place, by_rename, by_link]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_was_good_stays_in_force_under_bad_files(way: Callable[[Path, bytes], None], tmp_path: Path):
    file = tmp_path / "jobs.yaml"
    file.write_text(GOOD)
    with Served(tmp_path) as served:
        served.until_type("run.succeeded", "beat")
        before, slowest_s = peak_kb(served.process.pid), bare_start_s()
        for name, (content, _) in HOSTILE.items():
            forget_peak(served.process.pid)
            way(file, content)
            saved, bare_s = time.monotonic(), bare_start_s()
            served.until_type("config.rejected")
            took_s = time.monotonic() - saved
            # A thousand explanations of mistakes take what they take.
            assert name == ENDLESS or took_s < at_most(1, max(bare_s, bare_start_s())), name
            assert (peak_kb(served.process.pid) - before) * 1024 / 1e6 < (1 + (name == ENDLESS)) * MEMORY_MB_MAX, name
            slowest_s = max(slowest_s, bare_s)
            served.until_type("run.started", "beat")
        file.unlink()
        served.until_type("config.rejected")
        served.until_type("run.started", "beat")
        way(file, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").replace("beat", "pulse").encode())
        served.until_type("config.applied")
        served.until_type("run.started", "pulse")
    applied = [event["reason"] for event in served.seen if event["type"] == "config.applied"]
    assert applied[1:] == ["configuration 2: 1 added, 1 removed"]
    assert max(latencies_s(served.seen)) < at_most(1, slowest_s)


def latencies_s(seen: Iterable[Event]) -> list[float]:
    """Return how long after its tick each run started, in seconds."""
    starts = [event for event in seen if event["type"] == "run.started"]
    return [(parse_instant(event["time"]) - tick_of(event)).total_seconds() for event in starts]


def tick_of(event: Event) -> datetime:
    return parse_instant(event["run"].split(":", 2)[2])


def test_what_is_due_starts_while_its_file_is_rewritten_a_thousand_times_a_second(tmp_path: Path):
    file = tmp_path / "jobs.yaml"
    file.write_text(GOOD)
    over, edits = threading.Event(), 0

    def scribble() -> None:
        nonlocal edits
        began = time.monotonic()
        while not over.is_set():
            if edits >= (time.monotonic() - began) * EDITS_PER_S:
                over.wait(0.001)  # what is late then is made up for
                continue
            edits += 1
            file.write_text(f"jobs: [{edits}" if edits % 2 else f"{GOOD}# {edits}\n")

    with Served(tmp_path) as served:
        served.until_type("run.succeeded", "beat")
        writer, began = threading.Thread(target=scribble), time.monotonic()
        writer.start()
        try:
            starts = [served.until_type("run.started", "beat") for _ in range(6)]
        finally:
            over.set()
            writer.join()
        took_s = time.monotonic() - began
    assert {after - before for before, after in pairwise(map(tick_of, starts))} == {timedelta(seconds=1)}
    assert max(latencies_s(starts)) < at_most(1)
    # A machine with much else to do cannot write so often.
    assert edits * at_most(1) > took_s * EDITS_PER_S / 2
