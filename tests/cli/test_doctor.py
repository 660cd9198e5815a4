"""`doctor`: finds what is wrong with machine, files and state, and says how to mend it."""

from __future__ import annotations

import pytest

from dagsched.cli.doctor import disk, time_zones
from tests.cli.conftest import answer_with


def checks(result) -> dict[str, dict]:
    return {row["check"]: row for row in result.rows}


@pytest.fixture(autouse=True)
def _our_zones(monkeypatch):
    """This machine's own tzdata is not what is tested."""
    monkeypatch.setattr("dagsched.cli.doctor.time_zones", lambda: time_zones(()))


def test_all_is_well(call, home, jobs_file):
    result = call("doctor", "--json")
    assert {row["level"] for row in result.rows if row["check"] != "disk"} == {"ok"}
    assert list(checks(result)) == [
        "version", "sqlite", "time zones", "job files", "permissions", "disk", "store", "daemon"
    ]  # fmt: skip
    assert result.code == 0


def test_a_state_that_others_may_read_is_an_error_with_the_command_that_mends_it(call, home):
    home.chmod(0o755)
    result = call("doctor", "--json")
    assert result.code == 1
    assert checks(result)["permissions"]["fix"] == f"chmod 700 '{home}'"


def test_a_damaged_store_exits_4(call, home):
    (home / "dagsched.db").write_bytes(b"no database at all, whatever it once was" * 100)
    result = call("doctor", "--json")
    assert (result.code, checks(result)["store"]["level"]) == (4, "error")


def test_a_bad_job_file_exits_3(call, home, jobs_file):
    jobs_file.write_text("jobs: 5")
    result = call("doctor", "--json")
    assert (result.code, checks(result)["job files"]["fix"]) == (3, "see `dagsched validate`")


def test_no_job_file_and_no_state_is_no_error(call, here):
    result = call("doctor", "--json")
    assert (result.code, checks(result)["job files"]["level"]) == (0, "warning")


def test_a_daemon_that_could_not_take_over_a_file_is_an_error(call, home, monkeypatch):
    answer_with(monkeypatch, {"pid": 1, "health": "ok", "problems": [{"severity": "error"}]})
    result = call("doctor", "--json")
    assert (result.code, checks(result)["daemon"]["level"]) == (3, "error")


def test_a_daemon_that_cannot_write_is_an_error(call, home, monkeypatch):
    answer_with(monkeypatch, {"pid": 1, "health": "the disk is full", "problems": []})
    result = call("doctor", "--json")
    assert (result.code, checks(result)["daemon"]["detail"]) == (4, "the disk is full")


def test_a_daemon_with_warnings_alone_is_well(call, home, monkeypatch):
    answer_with(monkeypatch, {"pid": 1, "health": "ok", "problems": [{"severity": "warning"}]})
    assert checks(call("doctor", "--json"))["daemon"]["detail"] == "running, process 1"


def test_people_see_a_table(call, home, jobs_file):
    lines = call("doctor").lines
    assert lines[0].split() == ["CHECK", "LEVEL", "DETAIL", "FIX"]
    assert lines[1].startswith("version      ok")


@pytest.mark.parametrize(
    ("file", "text", "level", "detail"),
    [
        pytest.param("tzdata.zi", "# version 2019a\n# more\n", "warning", "2019a", id="old"),
        pytest.param("tzdata.zi", "# version 2999z\n", "ok", "2999z of the system", id="new"),
        pytest.param("+VERSION", "2999z\n", "ok", "2999z of the system", id="as on macOS"),
        pytest.param("nothing", "", "ok", "of the tzdata package", id="none"),
    ],
)
def test_old_time_zones_of_the_system_are_a_warning(tmp_path, file, text, level, detail):
    (tmp_path / file).write_text(text)
    [check] = time_zones((str(tmp_path),))
    assert check.level == level
    assert detail in check.detail


def test_a_full_disk_is_a_warning(tmp_path):
    assert disk(tmp_path, free_bytes_min=2**62).level == "warning"
    assert disk(tmp_path, free_bytes_min=0).level == "ok"
