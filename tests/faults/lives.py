"""One run's life after another under a daemon that is killed, and the audit of all of them together.

Three jobs: `work`, whose runs are triggered, `after`, which follows it, and `long`, which runs all the time. They write
the journal of tests/torture, so that its auditor can hold the record against what really happened.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from dagsched.api.client import call
from dagsched.errors import NoDaemon
from dagsched.stores import Address
from tests.daemon.served import Event, Served, ask, environment, rows
from tests.faults import past
from tests.faults.hands import wait_until
from tests.faults.machine import bare_start_s
from tests.torture import shows
from tests.torture.auditor import audit, repeated_work
from tests.torture.evidence import Evidence, Version, instant, read_journal
from tests.torture.processes import alive_of
from tests.torture.world import WORKER, read_world

LONG_S = "600"
ROWS = 10_000
LIVE = "SELECT job, state FROM {}runs WHERE state IN ('waiting', 'queued', 'running', 'retrying')"


class Lives:
    """A folder with a job file, a state in which 10,000 runs are over, and one daemon after another.

    `seen`: what all daemons have printed, which is what was durable by then. `restart_s`: how long each start took,
    and `bare_s` how long that of a bare interpreter took then. `address`: where on a server the state is, None for
    SQLite; `by`: the way the daemons take to it, None for the straight one.
    """

    def __init__(self, folder: Path, attempts: int, address: Address | None = None, by: Address | None = None) -> None:
        self.folder, self.state, self.address = folder, folder / ".dagsched", address
        way = by or address
        self._words: Sequence[str] = () if way is None else ("--store", way.url, "--namespace", way.namespace)
        self.journal = folder / "journal.txt"
        self.seen: list[Event] = []
        self.restart_s: list[float] = []
        self.bare_s: list[float] = []
        self.spawner_kills: list[float] = []
        self.verbs: list[dict[str, Any]] = []
        self._sheet = self._jobs(attempts)
        (folder / "jobs.yaml").write_text(json.dumps(self._sheet))
        past.lay_down(self.state, ROWS, address)
        self.daemon = self._started()

    def _jobs(self, attempts: int) -> Mapping[str, Any]:
        def worker(seconds: str) -> list[str]:
            return [sys.executable, "-I", "-S", str(WORKER), str(self.journal), seconds, "0", "-", "-"]

        retry = {"max_attempts": attempts, "delay": "20ms", "backoff": "constant"}
        return {
            "version": 1,
            "jobs": {
                past.JOB: {"run": "true"},
                "work": {"run": worker("0.05"), "retry": retry, "overlap": "allow"},
                "after": {
                    "run": worker("0"),
                    "retry": retry,
                    "overlap": "allow",
                    "depends_on": [{"job": "work", "match": "latest"}],
                },
                "long": {"run": worker(LONG_S), "retry": {**retry, "max_attempts": 1000}},
            },
        }

    # ------------------------------------------------------------ daemons

    def _started(self) -> Served:
        daemon = Served(self.folder, *self._words, "--grace", "0s")
        began = time.monotonic()
        daemon.__enter__()
        daemon.until_type("daemon.started")
        self.restart_s.append(time.monotonic() - began)
        self.bare_s.append(bare_start_s())
        return daemon

    def restart(self) -> None:
        """Start the next daemon after the last one was killed."""
        self.daemon.drain()
        self.daemon.__exit__(None, None, None)
        self.seen += self.daemon.seen
        self.daemon = self._started()

    # ------------------------------------------------------------ runs

    def trigger(self, job: str) -> str | None:
        """Have a run made and return its name; None when the daemon died before it answered."""
        verb: dict[str, Any] = {"args": ["trigger", job], "issued": time.time(), "code": 0, "out": "", "err": ""}
        self.verbs.append(verb)
        try:
            answer = asyncio.run(call(self.state, "trigger", {"job": job}))
        except NoDaemon:
            return None
        if answer is None:
            return None
        verb["out"] = "\n".join(answer["runs"])
        return str(answer["runs"][0])

    def live_rows(self) -> list[tuple[str, str]]:
        """Return jobs and states of the runs that are not over, as the database has them."""
        if self.address is not None:
            return self._live_rows_there(self.address)
        with closing(sqlite3.connect(f"file:{self.state}/dagsched.db?mode=ro", uri=True)) as connection:
            return sorted(connection.execute(LIVE.format("")))

    def _live_rows_there(self, address: Address) -> list[tuple[str, str]]:
        import psycopg  # only who asks for it needs a server

        with psycopg.connect(address.url) as connection:
            return sorted(connection.execute(LIVE.format(f"{address.schema}.").encode()))

    def come_to_rest(self) -> None:
        """Wait until only `long` runs."""
        wait_until(self.is_at_rest, "the end of the triggered runs")

    def is_at_rest(self) -> bool:
        return self.live_rows() == [("long", "running")]

    # ------------------------------------------------------------ the end

    def stop(self) -> None:
        """End `long` and stop the last daemon cleanly; what it leaves is for the audit."""
        self.daemon.ask("cancel", "long")
        wait_until(lambda: self.live_rows() == [], "the end of the long run")
        self.daemon.ask("stop")
        self.daemon.until_type("daemon.stopped")
        assert self.daemon.ended() == 0, self.daemon.words()
        self.close()

    def close(self) -> None:
        """Leave no process behind, whatever happened."""
        self.daemon.drain()
        self.daemon.__exit__(None, None, None)
        self.seen += self.daemon.seen

    def evidence(self) -> Evidence:
        """Return what the program says of the runs that were made here, and what others saw of them."""
        base = 2 * ROWS
        events = rows(ask(self.folder, "events", "--json", "--since", str(base)))
        history = rows(ask(self.folder, "history", "--json", "--limit", "0"))
        assert sum(row["job"] == past.JOB for row in history) == ROWS
        history = [row for row in history if row["job"] != past.JOB]
        applied = next(event["time"] for event in events if event["type"] == "config.applied")
        lines = read_journal(self.journal.read_text())
        return Evidence(
            history=history,
            events=[{**event, "seq": event["seq"] - base} for event in events],
            shows=self._shows([row["run"] for row in history]),
            journal=lines,
            versions=[Version(1, instant(applied), [read_world([self._sheet])])],
            verbs=self.verbs,
            left=list(alive_of(lines).values()),
            spawner_kills=self.spawner_kills,
        )

    def _shows(self, names: list[str]) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, shows.__file__, str(self.state)],
            input="\n".join(names), capture_output=True, text=True, check=True, env=environment(),
        )  # fmt: skip
        return {row["run"]: row for row in rows(done.stdout)}

    def verdict(self) -> list[str]:
        """Return what is wrong, in words: promises broken, transitions lost that had been shown, work repeated."""
        evidence = self.evidence()
        found = [str(violation) for violation in audit(evidence)]
        kept = {event["seq"]: event for event in rows(ask(self.folder, "events", "--json", "--since", str(2 * ROWS)))}
        found += [f"{event} was shown, and is not kept" for event in self.seen if kept.get(event["seq"]) != event]
        if not self.spawner_kills:
            found += [f"{words} was repeated after it had ended well" for words in repeated_work(evidence)]
        if "Traceback" in (stderr := (self.folder / "stderr").read_text()):
            found.append(stderr[-2000:])
        return found
