"""`dagsched import` writes a file that loads, tells of every line, and never loses what was there."""

from __future__ import annotations

import io
import json
import os
import re
import shutil

import pytest

from dagsched.config import load_texts
from dagsched.model import utc

CRONTAB = "# Nightly\n30 4 * * * /opt/backup\n"


def test_the_job_file_goes_to_stdout_and_loads(call, here):
    (here / "tab").write_text(CRONTAB)
    result = call("import", "crontab", "tab", "--timezone", "Europe/Berlin")
    assert result.code == 0
    config = load_texts({"/x/jobs.yaml": result.out}, utc(2026, 11, 26)).config
    assert config is not None
    assert list(config.jobs) == ["backup"]
    assert "tab:2: 30 4 * * * /opt/backup -> backup\n    same\n" in result.err
    assert result.err.splitlines()[-1] == "1 job in Europe/Berlin: 2 same, 1 differs, 0 not carried over"


def test_a_crontab_comes_on_standard_input(call, here, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CRONTAB.encode())))
    result = call("import", "crontab", "-")
    assert (result.code, "backup:" in result.out) == (0, True)
    assert call("import", "dagu", "-").code == 2


def test_a_file_is_written_and_never_replaced_unasked(call, here):
    (here / "tab").write_text(CRONTAB)
    assert call("import", "crontab", "tab", "-o", "jobs.yaml").code == 0
    assert "backup" in (here / "jobs.yaml").read_text()
    (here / "jobs.yaml").write_text("mine")
    result = call("import", "crontab", "tab", "-o", "jobs.yaml")
    assert (result.code, (here / "jobs.yaml").read_text()) == (2, "mine")
    assert "--force" in result.err
    assert call("import", "crontab", "tab", "-o", "jobs.yaml", "--force").code == 0


def test_lines_that_are_told_the_same_are_told_once(call, here):
    (here / "tab").write_text("# One\n# two\n# three\n\nMAILTO=\n# Nightly\n0 4 * * * /opt/backup\n")
    assert "tab:1-3: # One, # two, # three\n    same: kept as a comment\n" in call("import", "crontab", "tab").err
    (here / "a.timer").write_text("[Timer]\nOnCalendar=daily\n")
    (here / "a.service").write_text("[Service]\nPrivateTmp=yes\nExecStart=/x\nProtectHome=yes\nProtectSystem=yes\n")
    told = call("import", "systemd", "a.timer").err
    assert "a.service:4-5: ProtectHome, ProtectSystem -> a\n    not carried over because nothing isolates" in told


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_verify_asks_systemd_where_it_is(call, here):
    (here / "a.timer").write_text("[Timer]\nOnCalendar=Mon..Fri 02:30\nOnCalendar=*-*-* *:28:10 Asia/Tokyo\n")
    (here / "a.service").write_text("[Service]\nExecStart=/x\n")
    result = call("import", "systemd", "a.timer", "--verify", "--timezone", "Europe/Berlin")
    assert "systemd-analyze agrees on the next 800 times of 2 OnCalendar expressions\n" in result.err


def test_a_systemd_that_disagrees_is_heard(call, here, monkeypatch):
    (here / "a.timer").write_text("[Timer]\nOnCalendar=daily\n")
    (here / "a.service").write_text("[Service]\nExecStart=/x\n")
    tools = here / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    program = tools / "systemd-analyze"
    program.write_text("#!/bin/sh\necho '    Next elapse: Mon 2099-01-05 05:00:00 UTC'\n")
    program.chmod(0o755)
    result = call("import", "systemd", "a.timer", "--verify")
    assert result.code == 1
    assert re.search(r"'daily UTC': only the importer has \d{4}-", result.err)
    program.write_text("#!/bin/sh\nexit 1\n")
    assert "does not read 'daily UTC'" in call("import", "systemd", "a.timer", "--verify").err
    assert json.loads(call("import", "systemd", "a.timer", "--verify", "--json").out)["systemd_analyze"]["times"] == 0


def test_a_masked_timer_starts_nothing(call, here):
    (here / "a.timer").symlink_to(os.devnull)
    result = call("import", "systemd", ".")
    assert "a.timer: a.timer\n    same: it is masked" in result.err
    assert (result.code, "jobs: {}" in result.out) == (0, True)


def test_verify_is_in_the_json(call, here):
    (here / "tab").write_text(CRONTAB)
    document = json.loads(call("import", "crontab", "tab", "--verify", "--json", "--timezone", "Europe/Berlin").out)
    (row,) = document["verify"]
    assert (row["missing"], row["extra"], row["old"] == row["new"]) == ([], [], True)
    assert document["counts"] == {"same": 2, "differs": 1, "dropped": 0}


def test_what_is_not_carried_over_is_code_1(call, here):
    (here / "tab").write_text("nonsense here\n")
    result = call("import", "crontab", "tab")
    assert result.code == 1
    assert "tab:1: nonsense here\n    not carried over because" in result.err


def test_folder_reads_each_file_and_ids_stay_apart(call, here):
    folder = here / "cron.d"
    folder.mkdir()
    (folder / "one").write_text("0 1 * * * root /opt/run\n")
    (folder / "two").write_text("0 2 * * * root /opt/run\n")
    (folder / "old.bak").write_text("0 2 * * * root /opt/run\n")
    (folder / "bin").write_bytes(b"\0\1")
    (folder / "loop").symlink_to("loop")
    result = call("import", "crontab", "cron.d", "--json")
    document = json.loads(result.out)
    assert (result.code, document["jobs"]) == (1, ["one-run", "two-run"])
    assert sorted(os.path.basename(each["file"]) for each in document["verdicts"] if each["kind"] == "dropped") == [
        "bin", "loop", "old.bak",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(lambda path: path.write_bytes(b"a\0b"), "NUL", id="nul"),
        pytest.param(lambda path: path.write_bytes(b"x" * 9_000_000), "at most", id="huge"),
        pytest.param(lambda path: path.write_bytes(b"@daily x\n" * 10_001), "10001 lines", id="many"),
        pytest.param(lambda path: path.symlink_to(path), "symbolic links", id="loop"),
        pytest.param(lambda path: None, "No such file", id="missing"),
        pytest.param(lambda path: os.mkfifo(path), "no file", id="fifo"),
    ],
)
def test_a_file_that_is_no_text_is_one_sentence(call, here, make, said):
    make(here / "tab")
    result = call("import", "crontab", "tab")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert said in result.err


def test_latin_1_and_endless_lines_are_told(call, here):
    (here / "tab").write_bytes(b"# caf\xe9\n0 1 * * * x\n" + b"1" * 20_000 + b"\n")
    result = call("import", "crontab", "tab")
    assert result.code == 1
    assert "line 1 is not UTF-8" in result.err
    assert "20000 characters" in result.err
    assert "café" in result.out


def test_unknown_zone_is_a_sentence(call, here):
    (here / "tab").write_text(CRONTAB)
    assert "--timezone" in call("import", "crontab", "tab", "--timezone", "Mars/Base").err


def test_a_folder_of_units(call, here):
    (here / "a.timer").write_text("[Timer]\nOnCalendar=daily\n")
    (here / "a.service").write_text("[Service]\nExecStart=/bin/true\n")
    result = call("import", "systemd", ".", "--verify", "--timezone", "Europe/Berlin")
    assert (result.code, "verify a: 365 old, 365 new; difference zero" in result.err) == (0, True)
    assert call("import", "systemd", "a.timer").out.replace("UTC", "Europe/Berlin") == result.out
    assert call("import", "systemd", "nowhere").code == 2
