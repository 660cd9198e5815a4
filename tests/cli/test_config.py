"""`config`: the jobs in effect, each key with the line that says it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dagsched.config import load
from dagsched.config.flow import in_flow
from dagsched.config.reader import read
from dagsched.model import utc

FILE = """\
timezone: Europe/Berlin
defaults: {retry: {backoff: linear}, timeout: 5m}
templates:
  load:
    params: {table: {type: string}}
    schedule: "0 2 * * *"
    run: |
      ./load.sh "$DAGSCHED_PARAM_TABLE"
      ./done.sh
    retry: 3
jobs:
  orders:
    extends: load
    values: {table: orders}
    retry: {delay: 5s}
  report:
    matrix: {region: [eu, us]}
    depends_on: [{job: orders, match: same}]
    run: [./report.py, "--region=${{ region }}", "yes", "1"]
    schedule: "0 2 * * *"
  all: {depends_on: [report], run: "true", env: {A: "x: y", B: "", C: "null"}}
"""

POOLS = """\
calendars: {off: [2026-12-24], bank: {weekdays: [sat, sun], days: [2026-12-25]}}
pools: {a: 2, b: {slots: 3, rate_limit: 10/1m}, c: {rate_limit: 1/1h}}
jobs:
  x: {run: x, pool: a, when: 'param("p") == "1"', params: {p: {type: string, default: "1"}}}
  y: {run: y, pool: b, schedule: "@daily", window: {from: "08:00", to: "18:00"}, rate_limit: 5/1h, deadline: 2h}
  z: {run: z, schedule: "@daily", calendar: [off, bank], secrets: {KEY: "env:KEY"}}
"""

ORDERS = """\
jobs:
  orders:  # jobs.yaml:12
    schedule: "0 2 * * *"  # jobs.yaml:6
    run: |  # jobs.yaml:7
      ./load.sh "$DAGSCHED_PARAM_TABLE"
      ./done.sh
    retry:  # jobs.yaml:15
      backoff: linear  # jobs.yaml:2
      max_attempts: 3  # jobs.yaml:10
      delay: 5s  # jobs.yaml:15
    params:  # jobs.yaml:5
      table: {type: string, default: orders}  # jobs.yaml:5
    timeout: 5m  # jobs.yaml:2
    timezone: Europe/Berlin  # jobs.yaml:1
"""


@pytest.fixture(autouse=True)
def _file(here):
    (here / "jobs.yaml").write_text(FILE)


def test_each_key_has_the_line_that_says_it(call):
    assert call("config", "orders").out == ORDERS


def test_a_matrix_means_all_its_jobs(call):
    rows = call("config", "report", "--json").rows
    assert [row["job"] for row in rows] == ["report.eu", "report.us"]
    assert rows[1]["said"]["run"] == ["./report.py", "--region=us", "yes", "1"]
    assert (rows[1]["line"], rows[1]["from"]["run"], rows[1]["from"]["params.region"]) == (
        16, "jobs.yaml:19", "jobs.yaml:17",
    )  # fmt: skip


def jobs_in(*paths: Path):
    loaded = load(paths, utc(2026, 11, 23))
    assert loaded.config is not None
    return loaded.config


@pytest.mark.parametrize(
    "text", [FILE, POOLS, (Path(__file__).parents[2] / "jobs.example.yaml").read_text(), "jobs: {}\n"]
)
def test_what_is_printed_makes_the_same_jobs_and_is_plain(call, here, text):
    (here / "jobs.yaml").write_text(text)
    before = jobs_in(here / "jobs.yaml")
    printed = call("config").out
    assert not {"extends", "matrix", "templates", "defaults"} & set(str(yaml.safe_load(printed)).split("'"))
    (here / "jobs.yaml").write_text(printed)
    after = jobs_in(here / "jobs.yaml")
    assert (dict(after.jobs), dict(after.pools)) == (dict(before.jobs), dict(before.pools))
    assert (dict(after.pool_rates), dict(after.calendars)) == (dict(before.pool_rates), dict(before.calendars))


def test_template_of_another_file_is_named_with_its_file(call, here):
    (here / "templates.yaml").write_text("templates:\n  t: {run: x, timeout: 1h}\n")
    (here / "jobs.yaml").write_text("jobs: {a: {extends: t}}\n")
    row = call("config", "a", "--json", "--file", "jobs.yaml", "--file", "templates.yaml").rows[0]
    assert (row["file"], row["from"]["timeout"]) == ("jobs.yaml", "templates.yaml:2")


def test_unknown_job_and_bad_file_are_told(call, here):
    assert "did you mean" in call("config", "oders").err
    (here / "jobs.yaml").write_text("jobs: [\n")
    assert call("config").code == 3


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_value_on_one_line_is_read_as_the_same_value(value):
    document, _, problems = read("x.yaml", f"? {in_flow('a')}\n: {in_flow(value)}\n".encode(errors="surrogatepass"))
    if not problems:  # what no file may hold (a NUL, a merge key, a surrogate) is refused and never misread
        assert document is not None
        assert document.data == {"a": value}
