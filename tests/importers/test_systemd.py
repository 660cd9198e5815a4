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
from dagsched.importers.systemd import read_units
from dagsched.importers.unittimes import seconds_of
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


def test_what_a_service_does_around_its_command():
    service = (
        "[Unit]\nConditionPathExists=!/run/no\nConditionACPower=true\n[Service]\nType=oneshot\nExecStartPre=-/bin/pre\n"
        "ExecStart=/bin/a\nExecStartPost=/bin/post\nExecCondition=/bin/may\nExecStopPost=/bin/late\n"
        "EnvironmentFile=-/etc/default/a\nNice=10\nIOSchedulingClass=idle\nUMask=027\nSuccessExitStatus=2 DATAERR\n"
    )
    read = units(TIMER.format("daily"), service)
    assert jobs_of(read).jobs["a"].run.split("\n") == [
        "set -e",
        "[ ! -e /run/no ] || exit 0",
        "set -a; [ ! -r /etc/default/a ] || . /etc/default/a; set +a",
        "umask 027",
        "renice -n 10 -p $$ >/dev/null || true",
        "ionice -c 3 -p $$ || true",
        "/bin/may || exit 0",
        "/bin/pre || true",
        "/bin/a || { code=$?; case $code in 2|65) ;; *) exit $code ;; esac; }",
        "/bin/post",
    ]
    found = kinds(read)
    assert {name: found[name] for name in ("ConditionPathExists", "ConditionACPower", "EnvironmentFile", "Nice")} == {
        "ConditionPathExists": "differs", "ConditionACPower": "dropped", "EnvironmentFile": "differs", "Nice": "same"
    }  # fmt: skip
    assert (found["ExecStopPost"], found["ExecCondition"]) == ("dropped", "differs")


def test_accuracy_and_fixed_delay_differ():
    read = units(
        TIMER.format("daily") + "AccuracySec=1h\nFixedRandomDelay=true\nRandomizedDelaySec=1h\nWakeSystem=no\n"
    )
    found = kinds(read)
    assert (found["AccuracySec"], found["FixedRandomDelay"], found["RandomizedDelaySec"]) == ("differs",) * 3
    assert found["WakeSystem"] == "same"


@pytest.mark.parametrize(
    ("settings", "timeout"),
    [
        ("Type=oneshot\nTimeoutStartSec=5min\n", 300),
        ("Type=oneshot\nTimeoutSec=10\n", 10),
        ("TimeoutStartSec=5min\n", None),
        ("Type=exec\nRuntimeMaxSec=1h\n", 3600),
        ("Type=oneshot\nRuntimeMaxSec=1h\n", None),
    ],
)
def test_which_timeout_limits_a_run(settings, timeout):
    job = jobs_of(units(TIMER.format("daily"), SERVICE + settings)).jobs["a"]
    assert (job.timeout.total_seconds() if job.timeout else None) == timeout


@pytest.mark.parametrize(
    ("settings", "kind", "attempts"),
    [
        ("Restart=no\n", "same", 1),
        ("Restart=on-failure\nRestartSec=30\n", "differs", 5),
        ("Restart=on-failure\nRestartSec=30\nStartLimitBurst=3\n", "differs", 3),
        ("Restart=always\nRestartSec=30\n", "dropped", 1),
    ],
)
def test_restarts(settings, kind, attempts):
    read = units(TIMER.format("daily"), SERVICE + settings)
    job = jobs_of(read).jobs["a"]
    assert (kinds(read)["Restart"], job.retry.max_attempts) == (kind, attempts)
    assert attempts == 1 or job.retry.delay == timedelta(seconds=30)


def test_a_service_that_another_brings_along_gets_its_times():
    service = "[Unit]\nRequires=db.service net.service\nAfter=db.service network.target\n" + SERVICE
    read = units(TIMER.format("02:30") + "RandomizedDelaySec=60\n", service, **{"u/db.service": SERVICE})
    jobs = jobs_of(read).jobs
    assert [each.job for each in jobs["a"].depends_on] == ["db"]
    assert jobs["a"].schedule.cron == jobs["db"].schedule.cron == ("30 2 * * *",)
    assert (jobs["a"].jitter, jobs["db"].jitter) == (timedelta(0), timedelta(minutes=1))
    assert kinds(read)["Requires"] == "dropped"  # for net.service is not here
    assert "no timer here" not in str(read.verdicts)
    rows = compare(read.drafts, jobs_of(read), NOW, NOW + timedelta(days=365))
    assert [row.is_zero for row in rows] == [True, True]


def test_timers_at_the_same_times_wait_and_others_do_not():
    files = {
        "u/b.timer": TIMER.format("daily"),
        "u/b.service": SERVICE,
        "u/c.timer": TIMER.format("hourly"),
        "u/c.service": SERVICE,
    }
    jobs = jobs_of(units(TIMER.format("daily"), "[Unit]\nAfter=b.service c.service\n" + SERVICE, **files)).jobs
    assert ([each.job for each in jobs["a"].depends_on], jobs["a"].trigger_rule) == (["b"], "all_done")


def test_on_failure_is_a_job():
    service = "[Unit]\nOnFailure=tell@%n.service gone.service\n" + SERVICE
    read = units(TIMER.format("daily"), service, **{"u/tell@.service": "[Service]\nExecStart=/bin/tell %i\n"})
    job = jobs_of(read).jobs["a-failed"]
    assert ([each.job for each in job.depends_on], job.trigger_rule, job.run) == (
        ["a"],
        "one_failed",
        "/bin/tell a.service",
    )
    assert "no timer here" not in str(read.verdicts)


def test_units_of_an_account():
    files = {"u/a.timer": TIMER.format("daily"), "u/a.service": "[Service]\nExecStart=%h/bin/a\nWorkingDirectory=~\n"}
    job = jobs_of(read_units(files, "UTC", "ann", "/home/ann")).jobs["a"]
    assert (job.user, job.cwd, job.run) == ("ann", "/home/ann", "/home/ann/bin/a")
    job = jobs_of(read_units({**files, "u/a.service": "[Service]\nExecStart=a\n"}, "UTC", "ann", "/home/ann")).jobs["a"]
    assert job.cwd == "/home/ann"


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
    "*:*:0/20 UTC", "2027..2028-*-* 10:00", "2027-06-01 12:34:56", "Mon *-*~07/1 10:00", "Fri *-03~1..7 02:30",
    # What packages of Debian 12 say: anacron, apt, certbot, logrotate, man-db, mdadm, php-common, sysstat, roundcube, …
    "*-*-* 6:00", "*-*-* 6,18:00", "*-*-* 07..23:30", "*-*-* 00,12:00:00", "Sun *-*-1..7 1:00:00", " 2:00:00",
    "Sun *-*-* 03:10:00", "*:00/10", "*-*-* *:09,39:00", "00:07:00", "*-*-* *:00:00",
    "*-02-29 00:00", "Thu,Fri *-1,3-13 11:12:00", "*-*-* 1,13:20 America/New_York", "10:00 UTC", "08..17/2:00",
]  # fmt: skip


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_expressions_verify_to_zero(text, timezone):
    read = units(TIMER.format(text), timezone=timezone)
    days = 3 if "*:*" in text or text == "minutely" else 365
    for start in (NOW, utc(2027, 3, 27), utc(2027, 10, 30)):
        (row,) = compare(read.drafts, jobs_of(read), start, start + timedelta(days=days))
        assert (row.is_zero, row.explained) == (True, ())


def test_verify_catches_a_wrong_import():
    read = units(TIMER.format("Mon 02:30"))
    for wrong in ("30 2 * * 2", "31 2 * * 1", {"cron": "30 2 1-30 * 1", "days": "all"}):
        read.drafts[0].keys["schedule"] = wrong
        (row,) = compare(read.drafts, jobs_of(read), NOW, NOW + timedelta(days=365))
        assert not row.is_zero


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("text", SPECS)
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


@pytest.mark.parametrize("text", ["*:*:0/20", "*-*~03 10:00", "*-*~1..3 10:00", "*:0/5:0/30"])
def test_what_no_schedule_says_is_told(text):
    with pytest.raises(Unreadable):
        cron_of(read_spec(text))
    read = units(TIMER.format(text))
    assert kinds(read)["OnCalendar"] == "dropped"
    assert jobs_of(read).jobs["a"].schedule is None


def test_seconds_are_left_out_and_explained():
    read = units("[Timer]\nOnCalendar=*:28:10\nOnCalendar=*:58:10\n")
    config = jobs_of(read)
    assert (kinds(read)["OnCalendar"], config.jobs["a"].schedule.cron) == ("differs", ("28 * * * *", "58 * * * *"))
    (row,) = compare(read.drafts, config, NOW, NOW + timedelta(days=1))
    assert (row.is_zero, row.old, row.new, len(row.explained)) == (True, 48, 48, 48)
    assert row.explained[0][1] == "systemd starts it 10 s later"


@pytest.mark.parametrize(
    ("settings", "run"),
    [
        ("Nice=19\n", "nice -n 19 /bin/true"),
        ("IOSchedulingClass=best-effort\nIOSchedulingPriority=7\n", "ionice -c 2 -n 7 /bin/true"),
        ("IOSchedulingPriority=7\nIOSchedulingClass=idle\n", "ionice -c 3 /bin/true"),
        ("IOSchedulingClass=realtime\nNice=-5\n", "nice -n -5 ionice -t -c 1 /bin/true"),
        ("CPUSchedulingPolicy=idle\n", "chrt -i 0 /bin/true"),
        ("LimitNOFILE=4096\nNice=1\n", "set -e\nulimit -n 4096\nrenice -n 1 -p $$ >/dev/null || true\n/bin/true"),
    ],
)
def test_manners_stand_before_the_command(settings, run):
    read = units(TIMER.format("daily"), SERVICE + settings)
    assert jobs_of(read).jobs["a"].run == run
    assert kinds(read)[settings.partition("=")[0]] in ("same", "dropped")


def test_a_timer_that_only_the_boot_starts_says_who_may():
    read = units("[Timer]\nOnBootSec=5min\n")
    (why,) = [each.why for each in read.verdicts if each.text.startswith("OnBootSec")]
    assert "`dagsched trigger a`" in why


def test_units_that_are_not_here_are_told_together():
    read = units(TIMER.format("daily"), "[Unit]\nAfter=x.service y.service\n" + SERVICE)
    (why,) = [each.why for each in read.verdicts if each.text.startswith("After")]
    assert why == "x.service, y.service are not here"


def test_times_that_are_left_out_are_counted():
    read = units(TIMER.format("daily") + "OnCalendar=*-*~03 10:00\nOnCalendar=12:00 Asia/Tokyo\n")
    (row,) = compare(read.drafts, jobs_of(read), NOW, NOW + timedelta(days=365))
    assert (row.is_zero, row.new, row.old, len(row.explained)) == (True, 365, 365 + 12 + 365, 12 + 365)
    assert row.explained[0][1].startswith("OnCalendar=")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1h 30min", 5400), ("5m", 300), ("infinity", None), ("", None), ("1day2h", 93_600)],
)
def test_lengths(text, seconds):
    assert seconds_of(text) == seconds
