"""`run`: how the daemon is called and what is shown of it; the daemon itself has its own tests."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.cli.test_board import happened
from tests.cli.test_main import python


class ScriptedDaemon:
    """Keeps how it was called, tells its observer a story and ends with a code."""

    def __init__(self, story: list[tuple[str, str]], code: int) -> None:
        self._story, self._code = story, code
        self.made: dict[str, Any] = {}
        self.called: tuple[str, Any] | None = None

    def __call__(self, files: list[Path], home: Path, **options: Any) -> ScriptedDaemon:
        self.made = {"files": files, "home": home, **options}
        return self

    async def run(self, *, until_idle: bool) -> int:
        return self._tell("run", until_idle)

    async def run_once(self, jobs: list[str], params: dict[str, str]) -> int:
        return self._tell("once", [*jobs, *params])

    def _tell(self, verb: str, argument: Any) -> int:
        self.called = (verb, argument)
        happened(self.made["observer"], *self._story)
        return self._code


@pytest.fixture
def daemon(monkeypatch, jobs_file):
    """Put a scripted daemon in the real one's place."""

    def script(*story: tuple[str, str], code: int = 0) -> ScriptedDaemon:
        scripted = ScriptedDaemon(list(story), code)
        module = ModuleType("dagsched.daemon")
        module.Daemon = module.OneTick = scripted  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "dagsched.daemon", module)
        return scripted

    return script


@pytest.mark.parametrize(
    ("words", "files", "called"),
    [
        pytest.param([], ["jobs.yaml"], ("run", False), id="daemon"),
        pytest.param(["a.yaml", "b"], ["a.yaml", "b"], ("run", False), id="paths"),
        pytest.param(["--until-idle"], ["jobs.yaml"], ("run", True), id="until idle"),
        pytest.param(["--once"], ["jobs.yaml"], ("once", []), id="once"),
        pytest.param(["x/jobs.yaml", "--once"], ["x/jobs.yaml"], ("once", []), id="path and once"),
        pytest.param(["--once", "x.yaml"], ["x.yaml"], ("once", []), id="path after once"),
        pytest.param(["--once", "load", "tidy"], ["jobs.yaml"], ("once", ["load", "tidy"]), id="jobs"),
        pytest.param(["--once", "load", "./conf"], ["conf"], ("once", ["load"]), id="job and folder"),
    ],
)
def test_words_are_paths_or_jobs(call, daemon, words, files, called):
    scripted = daemon()
    assert call("run", *words).code == 0
    assert [str(file) for file in scripted.made["files"]] == files
    assert scripted.called == called


def test_options_reach_the_daemon(call, daemon, here):
    scripted = daemon()
    call("run", "--grace", "2m", "--slots", "3", "--state-dir", "elsewhere")
    assert scripted.made["home"] == here / "elsewhere"
    assert (scripted.made["grace"], scripted.made["slots"]) == (timedelta(minutes=2), 3)


def test_the_state_lives_beside_the_job_file_by_default(call, daemon, here, monkeypatch):
    scripted = daemon()
    (here / "conf").mkdir()
    call("run")
    assert scripted.made["home"] == here / ".dagsched"
    call("run", "conf/jobs.yaml")
    assert scripted.made["home"] == here / "conf" / ".dagsched"
    call("run", "conf")
    assert scripted.made["home"] == here / "conf" / ".dagsched"
    monkeypatch.setenv("DAGSCHED_STATE_DIR", "/var/lib/x")
    call("run", "conf")
    assert scripted.made["home"] == Path("/var/lib/x")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--grace", "30"], "'30' is no length", id="length without unit"),
        pytest.param(["--slots", "0"], "--slots 0 would start nothing", id="no slots"),
        pytest.param(["--slots", "many"], "invalid count value", id="no number"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_starts(call, daemon, words, said):
    scripted = daemon()
    result = call("run", *words)
    assert (result.code, scripted.called) == (2, None)
    assert said in result.err


@pytest.mark.parametrize(
    ("story", "code", "expected"),
    [
        pytest.param([("a", "running"), ("a", "success")], 0, 0, id="success"),
        pytest.param([("a", "skipped")], 0, 0, id="skipped"),
        pytest.param([("a", "success"), ("b", "failed")], 0, 1, id="failed"),
        pytest.param([("a", "success")], 130, 130, id="interrupted"),
    ],
)
@pytest.mark.parametrize("words", [["--once"], ["--until-idle"]])
def test_what_ends_by_itself_says_by_its_exit_code_how_it_went(call, daemon, words, story, code, expected):
    daemon(*story, code=code)
    assert call("run", *words).code == expected


def test_a_daemon_that_was_stopped_exits_0_whatever_failed_meanwhile(call, daemon):
    daemon(("a", "failed"))
    assert call("run").code == 0


def test_once_in_a_pipe_is_a_line_per_event_and_a_closing_table(call, daemon):
    daemon(("a", "running"), ("a", "success"))
    lines = call("run", "--once").lines
    assert lines[0].endswith("a 2026-11-23T14:00:00.007Z  running attempt 1")
    assert lines[1].endswith("a 2026-11-23T14:00:00.007Z  success")
    assert lines[2].split() == ["JOB", "STATE", "TRIES", "TOOK", "REASON"]
    assert lines[-1] == "1 success"


def test_json_is_event_rows_and_nothing_else(call, daemon):
    daemon(("a", "running"), ("a", "success"))
    assert [row["to"] for row in call("run", "--once", "--json").rows] == ["running", "success"]


def test_the_daemon_shows_a_line_per_event_and_no_table(call, daemon):
    daemon(("a", "running"))
    assert len(call("run").lines) == 1


def test_params_go_with_once_only(call, daemon):
    scripted = daemon()
    assert call("run", "--once", "load", "--param", "n=1").code == 0
    assert scripted.called == ("once", ["load", "n"])
    result = call("run", "--param", "n=1")
    assert (result.code, "--param goes with --once" in result.err) == (2, True)


ONLY_A_DAEMONS = (
    "dagsched.courier",
    "dagsched.daemon.feeding",
    "dagsched.daemon.jobfiles",
    "dagsched.daemon.messenger",
    "dagsched.registered",
    "dagsched.reload",
)


def test_once_loads_no_part_of_a_daemon_that_stays_no_difflib_and_no_openssl(here):
    (here / "jobs.yaml").write_text("version: 1\njobs:\n  a: {run: [/bin/true]}\n")
    code = "import sys\nfrom dagsched.cli import main\nassert main(['run', '--once']) == 0\nprint('\\n', *sys.modules)"
    loaded = set(python(code).splitlines()[-1].split())
    assert "dagsched.daemon" in loaded
    assert not loaded & {*ONLY_A_DAEMONS, "dagsched.stores.memory", "difflib", "rich", "ssl", "_ssl", "_hashlib"}


def test_a_short_run_has_tls_where_somebody_had_loaded_it_and_later_everywhere():
    code = (
        "import sys\nfrom dagsched.cli.loops import run_without_tls\n{before}\n"
        "async def work(): return 7\nassert run_without_tls(work()) == 7\n"
        "import asyncio.base_events, ssl\nprint(asyncio.base_events.ssl is ssl)"
    )
    assert python(code.format(before="import ssl")) == "True\n"
    assert python(code.format(before="import asyncio")) == "True\n"
    assert python(code.format(before="")) == "False\n"
