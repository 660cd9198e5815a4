"""A crontab comes over line by line, and its fire times stay what Debian's cron made of them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.importers import Imported, checked, compare
from dagsched.importers.cronfields import read_fields
from dagsched.importers.crontab import read_crontab
from dagsched.importers.crontab_kinds import kind_of, read_any
from dagsched.importers.debian import fires
from dagsched.importers.names import name_of
from dagsched.model import utc

NOW = utc(2026, 11, 26)
YEAR = timedelta(days=365)


def imported(text: str, timezone: str = "UTC", is_system: bool = False) -> Imported:
    return read_crontab(
        text, file="crontab", timezone=timezone, is_system=is_system, homes=lambda name: f"/home/{name or 'me'}"
    )


def jobs_of(read: Imported):
    text, loaded = checked(read, "/here/jobs.yaml", NOW)
    assert loaded.config is not None, text
    return loaded.config


def job_of(line: str):
    return next(iter(jobs_of(imported(line + "\n")).jobs.values()))


def verdicts(text: str) -> list[tuple[int, str]]:
    return [(each.line, each.kind) for each in imported(text).verdicts]


def test_line_with_its_comment_becomes_a_job():
    job = job_of("# How full\n# the disk is\n30 2 * * mon /usr/bin/df -h > /tmp/out 2>&1")
    assert (job.id, job.description, job.run) == ("df", "How full the disk is", "/usr/bin/df -h > /tmp/out 2>&1")
    assert (job.schedule.cron, job.catchup, job.overlap, job.cwd) == (("30 2 * * mon",), "none", "allow", "/home/me")
    assert job.env == {"PATH": "/usr/bin:/bin"}


def test_variables_hold_for_the_lines_below_and_quotes_keep_blanks():
    read = imported('@daily one\nA = \' x \'\n"B"="it\'s"\nC=1 # no comment\n@daily two\n')
    one, two = jobs_of(read).jobs.values()
    assert one.env == {"PATH": "/usr/bin:/bin"}
    assert two.env == {"PATH": "/usr/bin:/bin", "A": " x ", "B": "it's", "C": "1 # no comment"}


def test_shell_home_zone_and_mail():
    text = "SHELL=/bin/bash\nHOME=/srv\nCRON_TZ=Asia/Tokyo\nMAILTO=ops\nMAILTO=\nTZ=UTC\n0 5 * * * report\n"
    (job,) = jobs_of(imported(text)).jobs.values()
    assert (job.shell, job.cwd, job.schedule.timezone) == ("/bin/bash", "/srv", "Asia/Tokyo")
    assert [kind for _, kind in verdicts(text)] == ["same", "same", "differs", "dropped", "same", "same", "same"]


def test_percent_is_input_unless_escaped():
    assert job_of(r"0 0 * * * date +\%F").run == "date +%F"
    assert job_of(r"0 0 * * * mail root%one%2\%").run == "{ mail root\n} <<'INPUT'\none\n2%\nINPUT\n"


def test_system_crontab_names_the_account():
    (job,) = jobs_of(
        imported("17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly\n", "UTC", True)
    ).jobs.values()
    assert (job.user, job.cwd, job.run) == ("root", "/", "run-parts --report /etc/cron.hourly")


@pytest.mark.parametrize(
    ("command", "run", "keys"),
    [
        ("flock -n /tmp/l poll --all", "poll --all", {"overlap": "skip"}),
        ("/usr/bin/flock -n /tmp/l -c 'a; b'", "a; b", {"overlap": "skip"}),
        ("flock /tmp/l poll", "flock /tmp/l poll", {"overlap": "allow"}),
        ("flock -n /tmp/l a; b", "flock -n /tmp/l a; b", {"overlap": "allow"}),
        ("sleep $RANDOM; poll", "poll", {"jitter": timedelta(seconds=32768)}),
        (r"sleep $((RANDOM \% 300)) && poll", "poll", {"jitter": timedelta(minutes=5)}),
        ("perl -e 'sleep int(rand(43200))' && certbot -q renew", "certbot -q renew", {"jitter": timedelta(hours=12)}),
        ("timeout 10m poll", "poll", {"timeout": timedelta(minutes=10)}),
        ("timeout 10m poll; b", "timeout 10m poll; b", {"timeout": None}),
        ("cd /srv/x && poll", "poll", {"cwd": "/srv/x"}),
        ("cd /srv/x && a || b", "cd /srv/x && a || b", {"cwd": "/home/me"}),
        ("cd /srv/x; poll", "cd /srv/x; poll", {"cwd": "/home/me"}),
    ],
)
def test_what_a_command_says_besides_the_work_becomes_keys(command, run, keys):
    job = job_of(f"0 3 * * * {command}")
    assert job.run == run
    assert {key: getattr(job, key) for key in keys} == keys


def test_a_lock_that_two_lines_share_stays():
    jobs = jobs_of(imported("@daily flock -n /l a\n@hourly flock -n /l b\n")).jobs.values()
    assert [job.run for job in jobs] == ["flock -n /l a", "flock -n /l b"]


def test_two_commands_are_a_suggestion():
    assert "2 jobs" in imported("@daily a && b\n").verdicts[0].why


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("5/15 * * * * x", "5-59/15"),
        ("0 22-2 * * * x", "backward"),
        ("*/0 * * * * x", "step"),
        ("60 * * * * x", "60 is no minute"),
        ("0 0 * * fryday x", "fryday"),
        ("0 0 * *", "five fields"),
        ("@fortnightly x", "no macro"),
        ("0 0 * * *", "five fields"),
        ("٣ 0 * * * x", "no minute"),
    ],
)
def test_a_line_that_cron_refuses_is_told_with_its_number(line, why):
    (verdict,) = imported(f"\n{line}\n").verdicts
    assert (verdict.line, verdict.kind) == (2, "dropped")
    assert why in verdict.why


def test_reboot_has_no_schedule():
    read = imported("@reboot /usr/bin/thing\n")
    assert read.verdicts[0].kind == "differs"
    assert jobs_of(read).jobs["thing"].schedule is None


def test_anacron_says_that_times_are_its_own():
    text = (
        "START_HOURS_RANGE=3-22\nRANDOM_DELAY=45\n1\t5\tcron.daily\tnice run-parts /etc/cron.daily\n@monthly 45 m x\n"
    )
    read = read_any("anacron", text, file="anacrontab", timezone="UTC", homes=lambda _: None, user=None)
    daily, monthly = jobs_of(read).jobs.values()
    assert (daily.schedule.cron, daily.jitter, daily.catchup) == (("5 3 * * *",), timedelta(minutes=45), "latest")
    assert monthly.schedule.cron == ("45 3 1 * *",)


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("/etc/crontab", "", "system"),
        ("/etc/cron.d/x", "", "system"),
        ("/etc/anacrontab", "", "anacron"),
        ("/var/spool/cron/crontabs/ann", "* * * * * root x", "user"),
        ("/tmp/some", "* * * * * root x\n@daily root y\n", "system"),
        ("/tmp/some", "* * * * * root x\n@daily z y\n", "user"),
    ],
)
def test_the_kind_of_a_crontab(path, text, kind):
    assert kind_of(path.split("/"), text, lambda name: name == "root") == kind


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("test -e /usr/sbin/thing && /usr/sbin/thing sync", "thing"),
        ("[ -x /opt/a.sh ] && if [ ! -d /run/x ]; then /usr/lib/clean >/dev/null; fi", "clean"),
        ("if [ -x /usr/bin/list ]; then /usr/bin/list digests; fi", "list"),
        ("test -x /usr/bin/bot -a \\! -d /run/x && perl -e 'sleep int(rand(4000))' && bot -q renew", "bot"),
        ("command -v sa > /dev/null 2>&1 && sa 1 1", "sa"),
        ("test -e /run/x || MODE=1 /sbin/scrub -A", "scrub"),
        ("dir=$(cat /etc/x | tail -1); if [ -d $dir ]; then find $dir; fi", "job"),
        ("test -x /usr/sbin/tig && { [ -r $D ] && . $D ; nice -n5 /usr/sbin/tig ; }", "tig"),
        ("command -v " + " " * 9000, "job"),
        ("/usr/bin/python3 - <<EOF", "python3"),
        ("sleep 60 && /usr/bin/screen -dmS bot", "screen"),
        ("nice -n 19 ionice -c3 /opt/backup.sh && /opt/offsite.sh", "backup"),
        ("timeout 2h /usr/bin/rsync -a /srv/ nas:/srv/ || echo failed | logger -t rsync", "rsync"),
        ("/usr/bin/flock -w 10 /l/reindex.lock -c '/srv/again.sh --all'", "again"),
        ("su - www -s /bin/bash -c '/srv/go.sh'", "go"),
        ("sudo -u postgres vacuumdb --all", "vacuumdb"),
        ("/srv/venv/bin/python manage.py send_mail >> /var/log/mail.log 2>&1", "send_mail"),
        ("docker exec -t -u www web php artisan schedule:run", "schedule-run"),
        ("source ~/.bashrc && conda activate x && python train.py", "train"),
        ("(cd /srv/a; ./x.sh; ./y.sh) > /dev/null", "x"),
        ("python3 -m app.jobs.clean --all", "clean"),
        ("bash -lc 'cd /x && ./run.sh'", "run"),
        ("cd /x && npm run build", "build"),
        ("A=1 B=2 /usr/bin/java -jar /opt/tool.jar", "tool"),
        ("echo start; date; ./go.sh", "go"),
        ("/usr/bin/time -f %e ./slow", "slow"),
    ],
)
def test_the_work_names_the_job(command, name):
    assert name_of(command) == name


@pytest.mark.parametrize(
    ("command", "leaves"),
    [
        ("/opt/x &", True),
        ("nohup /opt/x", True),
        ("screen -dmS irc irssi", True),
        ("tmux new-session -d -s x y", True),
        ("a && b > /dev/null 2>&1", False),
        ("curl 'http://x?a=1&b=2' &> /dev/null", False),
        ("a & b & wait", False),
        ("/opt/screen-shot", False),
    ],
)
def test_work_that_is_left_running_is_told(command, leaves):
    assert ("is stopped" in imported(f"@daily {command}\n").verdicts[0].why) == leaves


def test_the_words_at_the_top_of_a_crontab_stay_there():
    text, _ = checked(
        imported("# Jobs of the shop\n#\n# m h dom mon dow command\nA=b\n# Mail\n0 1 * * * x\n"), "/jobs.yaml", NOW
    )
    assert text.startswith("# Jobs of the shop\n\nversion: 1\n")
    assert "description: Mail" in text
    assert "dow" not in text


def test_a_zone_that_all_lines_have_is_that_of_the_file():
    lines = "0 5 * * * one\n0 6 * * * two\n@reboot three\n"
    text, _ = checked(imported(f"CRON_TZ=Asia/Tokyo\n{lines}", "UTC"), "/jobs.yaml", NOW)
    assert re.findall("timezone.*", text) == ["timezone: Asia/Tokyo"]
    mixed, _ = checked(imported(f"0 4 * * * zero\nCRON_TZ=Asia/Tokyo\n{lines}", "UTC"), "/jobs.yaml", NOW)
    assert re.findall(" *timezone.*", mixed) == ["timezone: UTC", *["    timezone: Asia/Tokyo"] * 2]


def test_what_most_jobs_have_stands_once():
    text, loaded = checked(imported("0 1 * * * one\n0 2 * * * cd /srv && two\n0 3 * * * three\n"), "/jobs.yaml", NOW)
    assert re.findall(" *cwd.*", text) == ["  cwd: /home/me", "    cwd: /srv"]
    assert [job.cwd for job in loaded.config.jobs.values()] == ["/home/me", "/srv", "/home/me"]


@pytest.mark.parametrize(
    ("line", "dst"),
    [
        ("30 2 * * *", "dst: {gap: run}"),
        ("*/30 2 * * *", "dst: {gap: skip, overlap: both}"),
        ("0 4 * * *", ""),
        ("*/45 * * * *", ""),
    ],
)
def test_validate_does_not_warn_of_what_cron_did_anyway(line, dst):
    read = imported(f"{line} x\n", "Europe/Berlin")
    text, loaded = checked(read, "/jobs.yaml", NOW)
    assert loaded.problems == ()
    assert dst in text
    assert ("(`dst`)" in read.verdicts[0].why) == bool(dst)
    (row,) = compare(read.drafts, loaded.config, NOW, NOW + YEAR)
    assert row.is_zero


def test_an_account_where_a_program_should_be_is_pointed_at():
    assert "--system" in imported("0 7 * * * ann /opt/x\n").verdicts[0].why
    assert imported("0 7 * * * ann x\n0 7 * * * root /opt/x\n", is_system=True).verdicts[0].why == ""


def test_a_row_of_column_names_describes_no_line():
    read = imported("# Mail\n# m h dom mon dow command\n0 1 * * * mail\n# 5 tests, and 2 more of them\n0 2 * * * two\n")
    mail, two = jobs_of(read).jobs.values()
    assert (mail.description, two.description) == ("", "5 tests, and 2 more of them")


def test_a_sixth_field_is_pointed_at():
    assert "no sixth" in imported("* * * * * * x\n").verdicts[0].why


def test_mail_is_told_in_words_that_a_job_file_knows():
    why = imported("MAILTO=ops@example.com\n").verdicts[0].why
    assert "`type: email`" in why


def test_ids_of_many_like_lines_are_found_at_once():
    read = imported("".join(f"{n % 60} {n // 60 % 24} * * * /opt/run {n}\n" for n in range(9000)))
    assert len({draft.id for draft in read.drafts}) == 9000
    assert read.drafts[-1].id == "run-9000"


# Times that packages of Debian 12 use, as facts: anacron, awstats, cacti, certbot, e2fsprogs, mailman3, mdadm, munin,
# ntpsec, php-common, roundcube, sysstat, amavisd-new, and Debian's own crontab.
PACKAGED = """\
18 */3 * * * p
24 1 * * * q
10 03 * * * r
5,35 * * * * s
14 10 * * * t
27 03 * * * u
0 8 * * * v
17 * * * * a
25 6 * * * b
47 6 * * 7 c
52 6 1 * * d
5-55/10 * * * * e
59 23 * * * f
0 */12 * * * g
30 3 * * 0 h
10 3 * * * i
57 0 * * 0 j
09,39 * * * * k
0 10,22 * * * l
30 7-23 * * * m
*/5 * * * * n
@daily o
"""


@pytest.mark.parametrize(
    "timezone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Africa/Cairo"]
)
def test_lines_of_distributions_verify_to_zero(timezone):
    read = imported(PACKAGED, timezone)
    rows = compare(read.drafts, jobs_of(read), NOW, NOW + YEAR)
    assert len(rows) == 22
    assert [row for row in rows if not row.is_zero] == []


def test_verify_catches_a_wrong_import():
    read = imported("30 2 * * mon backup\n", "Europe/Berlin")
    for wrong in ("30 2 * * tue", "31 2 * * mon", "30 2 * 1-11 mon", {"cron": "30 2 * * mon", "timezone": "UTC"}):
        read.drafts[0].keys["schedule"] = wrong
        (row,) = compare(read.drafts, jobs_of(read), NOW, NOW + YEAR)
        assert not row.is_zero


def test_verify_catches_a_changed_reading_of_clock_changes():
    read = imported("30 2 * * * backup\n", "Europe/Berlin")
    read.drafts[0].keys["schedule"] = {"cron": "30 2 * * *"}
    read.drafts[0].keys["dst"] = {"gap": "skip"}
    (row,) = compare(read.drafts, jobs_of(read), NOW, NOW + YEAR)
    assert [f"{tick:%F %H:%M}" for tick in row.missing] == ["2027-03-28 01:00"]


def test_several_times_in_a_gap_are_explained():
    read = imported("0,30 2 * * * twice\n", "Europe/Berlin")
    (row,) = compare(read.drafts, jobs_of(read), NOW, NOW + YEAR)
    assert row.is_zero
    assert (row.old - row.new, len(row.explained)) == (1, 1)


@pytest.mark.parametrize(
    ("line", "after", "ticks"),
    [
        ("30 2 * * *", utc(2027, 3, 28), ["01:00"]),
        ("*/30 2 * * *", utc(2027, 3, 28), []),
        ("30 2 * * *", utc(2027, 10, 31), ["00:30"]),
        ("*/30 2 * * *", utc(2027, 10, 31, 0), ["00:30", "01:00", "01:30"]),
        ("0 3 * * *", utc(2027, 10, 31), ["02:00"]),
    ],
)
def test_debians_reading_of_summer_time(line, after, ticks):
    found = fires(read_fields(line.split(), ""), "Europe/Berlin", after, after + timedelta(hours=6))
    assert [f"{fire.tick:%H:%M}" for fire in found] == ticks


def field(low: int, high: int, names: str = "") -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    ordered = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: "{}-{}".format(*sorted(pair)))
    step = st.integers(1, high + 1)
    items = [number, ordered, st.tuples(ordered, step).map(lambda pair: "{}/{}".format(*pair))]
    items += [st.just("*"), step.map(lambda each: f"*/{each}")]
    if names:
        items.append(st.sampled_from(names.split()))
    if low < high:
        items.append(st.tuples(number, number).map(lambda pair: f"{min(pair, key=int)}~{max(pair, key=int)}"))
    return st.one_of(st.just("*"), st.lists(st.one_of(items), min_size=1, max_size=3).map(",".join))


LINES = st.tuples(
    field(0, 59), field(0, 23), field(1, 31), field(1, 12, "jan Feb DEC"), field(0, 7, "sun Mon SAT fri")
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(LINES, st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]), st.integers(0, 11))
def test_any_line_verifies_to_zero(line, timezone, month):
    read = imported(f"{line} true\n", timezone)
    start = NOW + timedelta(days=30 * month)
    rows = compare(read.drafts, jobs_of(read), start, start + timedelta(days=33))
    assert [(row.missing[:3], row.extra[:3]) for row in rows] == [((), ())], line


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_any_text_gets_a_verdict_and_a_file_that_loads(text):
    jobs_of(imported(text))
    jobs_of(imported(f"X={text}\n0 0 * * * {text}\n# {text}\n1 1 * * * two\n"))
