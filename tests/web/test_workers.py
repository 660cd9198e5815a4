"""What pages and API show of workers and of what they wrote."""

from __future__ import annotations

from pathlib import Path

from tests.api.caller import called
from tests.postgres import new_address
from tests.web.browser import Browser
from tests.worker.working import Working


def test_workers_and_what_they_wrote_are_shown_as_what_is_done_here(tmp_path: Path) -> None:
    home, address = tmp_path / "scheduler", new_address()
    home.mkdir()
    jobs = "version: 1\njobs: {far: {queue: etl, run: 'echo from afar'}, late: {queue: none, run: 'true'}}\n"
    words = ["--store", address.url, "--namespace", address.namespace]
    worker = Working(tmp_path / "w", *words, "--queues", "etl", "--labels", "gpu", "--name", "w1")
    with called(home, *words, jobs=jobs) as caller, worker:
        daemon = caller.daemon
        name = caller.run_once("far")
        caller.post("/jobs/late/trigger")
        (row,) = caller.get("/workers")["items"]
        assert (row["worker"], row["state"], row["labels"]) == ("w1", "ready", ["gpu"])
        (waiting,) = caller.get("/workers")["waiting"]
        assert (waiting["queue"], waiting["attempts"]) == ("none", 1)
        assert caller.get("/status")["workers"][0]["worker"] == "w1"
        assert "\nworkers   1 here; 0 of 1 slots busy\n" in daemon.ask("status")
        log = caller.root.get(f"/api/v1/runs/{name}/log", headers={"Range": "bytes=5-"})
        assert (log.status_code, log.text) == (206, "afar\n")
        assert caller.get(f"/runs/{name}")["attempt_list"][0]["place"] == "w1"
        url = ["--url", caller.url, "--token", caller.token]
        assert "  w1  " in daemon.ask("show", name, *url)
        assert daemon.ask("logs", name, *url) == "from afar\n"
        assert "w1" in daemon.ask("workers", *url)
        with Browser(caller) as browser:
            page = browser.page("config")
            assert ">w1</td>" in page
            assert "1 attempt of queue <b>none</b> without a worker" in page
            page = browser.page(f"runs/{name}?find=afar")
            assert "from afar" in page
            assert ("<th>Where</th>" in page, "<td>w1</td>" in page) == (True, True)
