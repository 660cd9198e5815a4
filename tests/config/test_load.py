from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.config import load, load_texts
from dagsched.definition import from_json, to_json
from dagsched.model import (
    Backoff,
    Catchup,
    Dependency,
    Job,
    Match,
    NotifyRule,
    OnCrash,
    OutputRef,
    Overlap,
    Position,
    RetryPolicy,
    Schedule,
    TriggerRule,
    utc,
)
from tests.config.texts import FILE, NOW, config_of, file_of, job_of, load_text


def test_smallest_job_has_every_default():
    job = job_of("run: ./x.sh")
    assert job == Job(id="a", run="./x.sh", cwd="/srv/etl")
    assert job.position == Position(FILE, 2, 3)


def test_every_key_reaches_the_job():
    config = config_of("""\
        version: 1
        timezone: Europe/Berlin
        pools: {db: 4}
        notifiers: {ops: {type: command, run: [tell]}}
        jobs:
          up: {run: x}
          all:
            description: d
            tags: [t1, t2]
            owner: me
            schedule: {cron: ["0 2 * * *", "0 3 * * *"], start: 2027-01-01, end: 2027-12-31, max_runs: 3, days: all}
            timezone: UTC
            depends_on: [{job: up, match: same}]
            trigger_rule: all_done
            run: [./x.sh, 5]
            env: {N: 5, T: text, ROWS: {job: up, output: rows, default: 0}}
            params: {region: {type: string, default: eu}}
            cwd: sub/../scripts
            shell: /bin/bash
            user: etl
            retry: {max_attempts: 5, backoff: linear, delay: 2s, multiplier: 3, max_delay: 10m, jitter: 1s, on: [75]}
            timeout: 1h30m
            catchup: all
            catchup_window: 2d
            overlap: queue
            max_active_runs: 2
            max_queued: 7
            pool: db
            slots: 3
            queue: etl
            labels: [zone=eu, gpu]
            jitter: 500ms
            dst: {gap: skip, overlap: both}
            on_crash: fail
            notify: [{on: [failure, recovered], to: [ops]}]
            enabled: false
        """)
    job = config.jobs["all"]
    assert config.pools == {"db": 4}
    assert job == Job(
        id="all",
        description="d",
        tags=("t1", "t2"),
        owner="me",
        schedule=Schedule(
            cron=("0 2 * * *", "0 3 * * *"), timezone="UTC", start=utc(2027, 1, 1), end=utc(2027, 12, 31, 23, 59, 59),
            max_runs=3, gap="skip", fold="both", days="all",
        ),
        depends_on=(Dependency("up", Match.SAME),),
        trigger_rule=TriggerRule.ALL_DONE,
        run=("./x.sh", "5"),
        env={"N": "5", "T": "text", "ROWS": OutputRef("up", "rows", "0")},
        params=job.params,
        cwd="/srv/etl/scripts",
        shell="/bin/bash",
        user="etl",
        retry=RetryPolicy(
            5, Backoff.LINEAR, timedelta(seconds=2), 3, timedelta(minutes=10), timedelta(seconds=1), (75,)
        ),
        timeout=timedelta(hours=1, minutes=30),
        catchup=Catchup.ALL,
        catchup_window=timedelta(days=2),
        overlap=Overlap.QUEUE,
        max_active_runs=2,
        max_queued=7,
        pool="db",
        slots=3,
        queue="etl",
        labels=("gpu", "zone=eu"),
        jitter=timedelta(milliseconds=500),
        on_crash=OnCrash.FAIL,
        notify=(NotifyRule(("failure", "recovered"), ("ops",)),),
        enabled=False,
    )  # fmt: skip
    assert (job.params["region"].schema["type"], job.params["region"].default) == ("string", "eu")
    assert from_json(to_json(job)) == job


QUEUES = {
    "nothing": ("", "", (None, ())),
    "a queue": ("queue: etl", "", ("etl", ())),
    "labels alone": ("labels: [gpu]", "", ("default", ("gpu",))),
    "the defaults": ("labels: [gpu]", "defaults: {queue: etl}\n", ("etl", ("gpu",))),
    "itself again": ("queue: local", "defaults: {queue: etl, labels: [gpu]}\n", (None, ())),
}


@pytest.mark.parametrize(("lines", "top", "expected"), QUEUES.values(), ids=QUEUES.keys())
def test_queue_and_labels_say_which_workers_do_it(lines, top, expected):
    job = job_of("run: x\n" + lines, top=top)
    assert (job.queue, job.labels) == expected


SCHEDULES = {
    "a file's zone": (
        "schedule: '@daily'", "timezone: Asia/Tokyo\n",
        Schedule(cron=("@daily",), timezone="Asia/Tokyo"),
    ),
    "a schedule's own zone": (
        "schedule: {cron: '@daily', timezone: UTC}\ntimezone: Asia/Tokyo", "",
        Schedule(cron=("@daily",), timezone="UTC"),
    ),
    "elapsed time": ("schedule: {every: 1h30m}", "", Schedule(every=timedelta(minutes=90))),
    "a wall time": ("schedule: {at: 2027-12-24T18:00}", "", Schedule(at=utc(2027, 12, 24, 18).replace(tzinfo=None))),
    "an instant": ("schedule: {at: '2027-12-24 18:00+02:00'}", "", Schedule(at=utc(2027, 12, 24, 16))),
    "a start in local time": (
        "schedule: {every: 5m, start: 2027-07-01T09:00}", "timezone: America/New_York\n",
        Schedule(every=timedelta(minutes=5), timezone="America/New_York", start=utc(2027, 7, 1, 13)),
    ),
    "dst of the defaults, completed": (
        "schedule: 0 5 * * *\ndst: {gap: skip}", "defaults: {dst: {gap: run, overlap: first}}\n",
        Schedule(cron=("0 5 * * *",), gap="skip", fold="first"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "top", "expected"), SCHEDULES.values(), ids=SCHEDULES.keys())
def test_schedule_says(lines, top, expected):
    assert job_of("run: x\n" + lines, top=top).schedule == expected


def test_overlap_allow_lifts_the_limit_unless_one_is_given():
    assert job_of("run: x\noverlap: allow").max_active_runs is None
    assert job_of("run: x\noverlap: allow\nmax_active_runs: 3").max_active_runs == 3
    assert job_of("run: x\noverlap: queue").max_active_runs == 1


def test_catchup_all_looks_back_a_day_unless_told_otherwise():
    assert job_of("run: x\ncatchup: all").catchup_window == timedelta(hours=24)
    assert job_of("run: x\ncatchup: all\ncatchup_window: 3d").catchup_window == timedelta(days=3)
    assert job_of("run: x").catchup_window is None


def test_defaults_stand_below_the_job_and_mappings_are_merged():
    top = "defaults: {timeout: 1h, tags: [t], retry: {max_attempts: 3, delay: 2s}, env: {A: 1, B: 1}}\n"
    job = job_of("run: x\ntimeout: 5m\nretry: {max_attempts: 5}\nenv: {B: 2}", top=top)
    assert (job.timeout, job.tags) == (timedelta(minutes=5), ("t",))
    assert job.retry == RetryPolicy(max_attempts=5, delay=timedelta(seconds=2))
    assert dict(job.env) == {"A": "1", "B": "2"}


def test_jobs_that_say_nothing_of_their_own_share_what_the_defaults_say():
    top = "defaults: {env: {A: 1}, tags: [t]}\n"
    loaded = load_texts({"/f.yaml": f"{top}jobs: {{a: {{run: x}}, b: {{run: x}}, c: {{run: x, env: {{A: 2}}}}}}"}, NOW)
    assert loaded.config is not None
    a, b, c = loaded.config.jobs.values()
    assert a.env is b.env
    assert a.tags is b.tags is c.tags
    assert (dict(a.env), dict(c.env)) == ({"A": "1"}, {"A": "2"})


def test_default_that_no_job_takes_is_not_judged_for_its_length():
    text = "defaults: {timeout: 0s}\njobs: {a: {run: x, timeout: 1h}, b: {run: x, timeout: 2h}}"
    assert not load_texts({"/f.yaml": text}, NOW).problems
    problems = load_texts({"/f.yaml": text.replace(", timeout: 2h", "")}, NOW).problems
    assert [(each.code, each.line) for each in problems] == [("E304", 1)]


def test_short_retry_changes_only_the_number_of_attempts():
    job = job_of("run: x\nretry: 7", top="defaults: {retry: {delay: 9s}}\n")
    assert job.retry == RetryPolicy(max_attempts=7, delay=timedelta(seconds=9))


def test_defaults_hold_in_their_own_file_only():
    files = {"/a.yaml": "defaults: {timeout: 1h}\njobs: {a: {run: x}}", "/b.yaml": "jobs: {b: {run: x}}"}
    config = load_texts(files, NOW).config
    assert config is not None
    assert [job.timeout for job in config.jobs.values()] == [timedelta(hours=1), None]


def test_empty_jobs_are_valid():
    assert config_of("jobs: {}\n").jobs == {}


def test_handler_keeps_its_settings():
    job = job_of("handler: http\nwith: {url: http://h/, json: {a: [1]}}")
    assert (job.handler, job.run, dict(job.with_)) == ("http", None, {"url": "http://h/", "json": {"a": [1]}})


def test_folder_means_its_yaml_files_in_order(tmp_path):
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "notes.txt"):
        (tmp_path / name).write_text(f"jobs: {{{name[0] if name[0].isalpha() else 'h'}: {{run: x}}}}\n")
    (tmp_path / "sub.yaml").mkdir()
    config = load([tmp_path, tmp_path / "b.yaml"], NOW).config
    assert config is not None
    assert list(config.jobs) == ["a", "b"]
    assert list(config.files) == [str(tmp_path / "a.yml"), str(tmp_path / "b.yaml")]


def test_relative_path_gives_the_same_jobs_as_the_stored_texts(tmp_path, monkeypatch):
    (tmp_path / "jobs.yaml").write_bytes(b"\xef\xbb\xbfjobs: {a: {run: x, cwd: s}, b: {run: y}}\r\n")
    monkeypatch.chdir(tmp_path)
    read = load([Path("jobs.yaml")], NOW).config
    assert read is not None
    monkeypatch.chdir("/")
    stored = load_texts(read.files, NOW).config
    assert stored is not None
    assert (dict(stored.jobs), stored.digest) == (dict(read.jobs), read.digest)
    assert stored.jobs["a"].cwd == str(tmp_path / "s")


def test_digest_changes_with_text_and_path():
    digests = {
        load_texts({path: text}, NOW).config.digest  # type: ignore[union-attr]
        for path in ("/a.yaml", "/b.yaml")
        for text in ("jobs: {}", "jobs: {} ")
    }
    assert len(digests) == 4


def test_problem_names_the_file_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "jobs.yaml").write_text("jobs: 5\n")
    monkeypatch.chdir(tmp_path)
    assert [problem.file for problem in load([Path("jobs.yaml")], NOW).problems] == ["jobs.yaml"]


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.yaml")
    return folder / "pipe.yaml"


UNREADABLE = {
    "a missing file": lambda folder: folder / "none.yaml",
    "an empty folder": lambda folder: folder,
    "a pipe": _fifo,
    "a name with a NUL": lambda folder: folder / "a\0b.yaml",
    "a link to nowhere": lambda folder: (folder / "l.yaml").symlink_to("gone") or folder / "l.yaml",
}


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_one_problem(make, tmp_path):
    loaded = load([make(tmp_path)], NOW)
    assert (loaded.config, [problem.code for problem in loaded.problems]) == (None, ["E001"])


def test_warning_leaves_the_configuration_usable():
    loaded = load_text(file_of("run: x\nschedule: {every: 1d}"))
    assert loaded.config is not None
    assert [problem.severity for problem in loaded.problems] == ["warning"]


def test_large_configuration_shares_equal_values():
    text = "defaults: {retry: {max_attempts: 2}}\njobs:\n"
    text += "".join(f"  j{n}: {{run: x, schedule: '@daily', retry: {{delay: 5s}}}}\n" for n in range(200))
    jobs = config_of(text).jobs.values()
    assert len({id(job.retry) for job in jobs}) == len({id(job.schedule) for job in jobs}) == 1


KEYS = ["run", "schedule", "depends_on", "env", "retry", "timeout", "handler", "with", "pool", "params", "when", "dst"]
VALUES = st.sampled_from(
    [
        "x",
        "5",
        "[a]",
        "{a: 1}",
        "5m",
        "{every: 5m}",
        "http",
        "{job: a, output: o}",
        "0 2 * * *",
        "~",
        "[{job: b}]",
        "1.5",
    ]
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=3))
def test_any_mixture_of_keys_and_values_ends_in_a_config_or_an_error(jobs):
    body = "".join(
        f"  {id}:\n" + "".join(f"    {key}: {value}\n" for key, value in job.items()) for id, job in jobs.items()
    )
    loaded = load_text("jobs:\n" + body)
    assert (loaded.config is None) == any(problem.is_error for problem in loaded.problems)
    lines = ("jobs:\n" + body).splitlines()
    for problem in loaded.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column < problem.end_column <= len(lines[problem.line - 1]) + 2


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_config_or_an_error(content):
    loaded = load_text(content)
    assert (loaded.config is None) == any(problem.is_error for problem in loaded.problems)


LENGTHS_MS = st.integers(1, 3650 * 86_400_000)


@given(LENGTHS_MS)
def test_length_is_read_as_it_was_written(total_ms):
    rest, text = total_ms, ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        number, rest = divmod(rest, size)
        text += f"{number}{unit}" * bool(number)
    assert job_of(f"run: x\ntimeout: {text}").timeout == timedelta(milliseconds=total_ms)


def test_equal_jobs_in_other_places_are_equal():
    one, two = job_of("run: x"), config_of("# moved\njobs:\n\n  a: {run: x}\n").jobs["a"]
    assert one == two
    assert one.position != two.position
    assert one._replace(position=None) == two


def test_a_pool_may_limit_its_rate_beside_its_slots_or_alone():
    config = config_of("pools: {a: 2, b: {slots: 3, rate_limit: 10/1m}, c: {rate_limit: 1/90s}}\njobs: {}\n")
    assert config.pools == {"a": 2, "b": 3, "c": 1_000_000}
    assert {name: str(rate) for name, rate in config.pool_rates.items()} == {"b": "10/1m", "c": "1/1m30s"}


def test_priority_and_rate_limit_have_defaults_of_the_file():
    top = "defaults: {priority: 5, rate_limit: 2/1h}\n"
    assert (job_of("run: x", top=top).priority, str(job_of("run: x", top=top).rate_limit)) == (5, "2/1h")
    assert job_of("run: x\npriority: -1", top=top).priority == -1


@pytest.mark.parametrize("value", [[1], {"a": 1}, 5, "x"])
def test_a_key_without_a_name_in_with_is_no_length(value):
    loaded = load_texts({"/jobs.yaml": f'jobs: {{a: {{handler: mine, with: {{"": {value!r}}}}}}}'}, NOW)
    assert [problem.code for problem in loaded.problems] == ["E110"]


def test_wrong_names_without_end_are_explained_a_thousand_times_and_counted_beyond():
    pools = "".join(f"  bad name {number}: 1\n" for number in range(1500))
    jobs = "jobs: {a: {run: x}, 'not one': {run: x}}\n"
    loaded = load_texts({"/jobs.yaml": f"pools:\n  fine: 1\n{pools}{jobs}"}, NOW)
    told = [problem.message for problem in loaded.problems]
    assert len(told) == 1002
    assert sum("more of these" in words for words in told) == 1
    assert "500 more of these pools are not right" in told
    assert sum("'not one'" in words for words in told) == 1
