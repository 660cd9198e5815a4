"""Timers and their services come over setting by setting, and elapse when systemd says they do."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from dagsched.importers import checked, compare
from dagsched.importers.calendarspec import cron_of, elapses, read_spec
from dagsched.importers.cronfields import Unreadable
from dagsched.importers.systemd import read_units, seconds_of
from dagsched.model import utc

NOW = utc(2026, 11, 26)
TIMER = "[Timer]\nOnCalendar={}\n"
SERVICE = "[Service]\nExecStart=/bin/true\n"


def units(timer: str, service: str = SERVICE, timezone: str = "Europe/Berlin", **more: str):
    return read_units({"u/a.timer": timer, "u/a.service": service, **more}, timezone)


def jobs_of(read):
    text, loaded = checked(read, "/here/jobs.yaml", NOW)
    assert loaded.config is not None, text
    return loaded.config


def kinds(read) -> dict[str, str]:
    return {each.text.partition("=")[0]: each.kind for each in read.verdicts}


def test_a_timer_and_its_service_become_a_job():
    service = (
        '[Unit]\nDescription=Backup\n[Service]\nType=oneshot\nExecStart=/bin/b --to "a b" \\\n  $OPTS\n'
        'User=ann\nWorkingDirectory=/srv\nEnvironment=OPTS=-v "X=1 2"\nTimeoutStartSec=1h 30min\n'
    )
    read = units(TIMER.format("Mon..Fri 02:30") + "Persistent=yes\nRandomizedDelaySec=90\n", service)
    job = jobs_of(read).jobs["a"]
    assert (job.description, job.run, job.user, job.cwd) == ("Backup", "/bin/b --to 'a b' $OPTS", "ann", "/srv")
    assert (job.schedule.cron, job.catchup, job.overlap) == (("30 2 * * 1-5",), "latest", "skip")
    assert job.env == {"OPTS": "-v", "X": "1 2"}
    assert (job.timeout, job.jitter) == (timedelta(minutes=90), timedelta(seconds=90))
    assert {kind for name, kind in kinds(read).items() if name != "RandomizedDelaySec"} == {"same"}


def test_drop_ins_take_back_and_add():
    drop_in = {"u/a.timer.d/x.conf": "[Timer]\nOnCalendar=\nOnCalendar=05:00\n"}
    assert jobs_of(units(TIMER.format("daily"), **drop_in)).jobs["a"].schedule.cron == ("0 5 * * *",)


def test_several_commands_stop_at_the_first_failure_unless_told():
    service = "[Service]\nType=oneshot\nExecStart=-/bin/a\nExecStart=/bin/sh -c 'echo %% $$X %n'\n"
    assert jobs_of(units(TIMER.format("daily"), service)).jobs["a"].run == (
        'set -e\n/bin/a || true\n/bin/sh -c "echo % \\$X a.service"'
    )


def test_instances_of_a_template():
    files = {"a@x.timer": TIMER.format("daily"), "a@.timer": TIMER.format("daily")}
    read = read_units({**files, "a@.service": "[Service]\nExecStart=/bin/a %i\n"}, "UTC")
    assert [job.run for job in jobs_of(read).jobs.values()] == ["/bin/a x"]
    assert [each.text for each in read.verdicts if each.kind == "dropped"] == ["a@.timer"]


def test_elapsed_time_and_what_has_no_place():
    read = units("[Timer]\nOnBootSec=5min\nOnUnitActiveSec=15min\n", SERVICE + "PrivateTmp=yes\nRestart=always\n")
    assert jobs_of(read).jobs["a"].schedule.every == timedelta(minutes=15)
    found = kinds(read)
    assert (found["OnBootSec"], found["OnUnitActiveSec"]) == ("dropped", "differs")
    assert (found["PrivateTmp"], found["Restart"]) == ("dropped", "dropped")


def test_a_timer_without_its_service_is_told():
    read = read_units({"a.timer": TIMER.format("daily")}, "UTC")
    assert (read.drafts, [each.kind for each in read.verdicts]) == ([], ["dropped"])


SPECS = [
    "minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "Mon,Fri *-*-* 12:00",
    "Sat..Mon 04:00", "*-*-1..7 18:00", "*:0/15", "Mon *-05~01 10:00", "*-*~01 23:00", "02:30", "*-*-* 02:00/30",
    "*-02-29 00:00", "Thu,Fri *-1,3-13 11:12:00", "*-*-* 1,13:20 America/New_York", "10:00 UTC", "08..17/2:00",
]  # fmt: skip


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_expressions_verify_to_zero(text, timezone):
    read = units(TIMER.format(text), timezone=timezone)
    (row,) = compare(read.drafts, jobs_of(read), NOW, NOW + timedelta(days=365))
    assert row.is_zero
    assert row.explained == ()


def test_verify_catches_a_wrong_import():
    read = units(TIMER.format("Mon 02:30"))
    for wrong in ("30 2 * * 2", "31 2 * * 1", {"cron": "30 2 1-30 * 1", "days": "all"}):
        read.drafts[0].keys["schedule"] = wrong
        (row,) = compare(read.drafts, jobs_of(read), NOW, NOW + timedelta(days=365))
        assert not row.is_zero


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("text", [*SPECS, "*:*:0/20"])
@pytest.mark.parametrize("base", ["2027-03-27 20:00:00 UTC", "2027-10-30 20:00:00 UTC"])
def test_elapses_are_those_of_systemd(text, base):
    said = text if text.endswith(("UTC", "York")) else f"{text} Europe/Berlin"
    command = ["systemd-analyze", "calendar", "--base-time", base, "--iterations=20", said]
    done = subprocess.run(command, capture_output=True, text=True, env={"TZ": "UTC"}, check=False)
    found = re.findall(r"(?:elapse|#\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", done.stdout)
    if done.returncode or not found:
        pytest.skip("this systemd does not read it")
    wanted = [datetime.strptime(each, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) for each in found]
    wanted = [each for each in wanted if each.year < 2040]
    start = datetime.strptime(base, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    assert [fire.tick for fire in elapses([read_spec(said)], "UTC", start, wanted[-1])] == wanted


@pytest.mark.parametrize("text", ["", "nonsense", "25:00", "*-13-01", "Mon Tue", "10:00 Mars/Base", "*:0/0", "0x1:00"])
def test_what_systemd_refuses_is_refused(text):
    with pytest.raises(Unreadable):
        read_spec(text)


@pytest.mark.parametrize("text", ["*:*:30", "2027-*-* 10:00", "*-*~03 10:00"])
def test_what_no_schedule_says_is_told(text):
    with pytest.raises(Unreadable):
        cron_of(read_spec(text))
    read = units(TIMER.format(text))
    assert kinds(read)["OnCalendar"] == "dropped"
    assert jobs_of(read).jobs["a"].schedule is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1h 30min", 5400), ("5m", 300), ("infinity", None), ("", None), ("1day2h", 93_600)],
)
def test_lengths(text, seconds):
    assert seconds_of(text) == seconds
