"""Anything at all, given to what reads job files: no crash, and no hang.

The strategies lean towards what YAML, cron and lengths are made of, and towards small damage to files that are right.
`DAGSCHED_FUZZ_EXAMPLES=100000 python -m pytest tests/config/test_fuzz.py` looks further than the ordinary run does.
A hang is more than HANG_S of this thread's own processor time, so that a busy machine is none.
"""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagsched.config import BadLength, load_texts, parse_length
from dagsched.config.rates import BadRate, parse_rate
from dagsched.config.reader import read
from dagsched.errors import ScheduleError
from dagsched.triggers import Cron
from tests.config.texts import NOW

T = TypeVar("T")

HANG_S = 0.1
EXAMPLE = (Path(__file__).parent.parent.parent / "jobs.example.yaml").read_bytes()
FUZZ = settings(
    max_examples=int(os.environ.get("DAGSCHED_FUZZ_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

SIGNS = ["{", "}", "[", "]", ",", ": ", ":", "- ", "? ", "# ", "&a ", "*a", "!t ", "!!str ", "|", ">", "'", '"', "\\"]
BREAKS = ["|2-\n", "%TAG ! x:\n", "%YAML 1.1\n", "---\n", "...\n", "\n", "\r\n", "\r", "\t", " ", "  ", "\0", "\x85"]
WORDS = ["jobs:", "run:", "schedule:", "<<: ", "a", "~", "null", "1e999", "0x", "\ud7ff", "\ufeff", "\u2028", "@", "`"]
INDICATORS = st.sampled_from([*SIGNS, *BREAKS, *WORDS])
YAMLISH = st.lists(INDICATORS | st.text(max_size=3), max_size=60).map("".join)
BYTES = st.binary(max_size=300) | YAMLISH.map(lambda text: text.encode(errors="surrogatepass"))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return the example with a few places cut, doubled or overwritten."""
    content = EXAMPLE
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 200)))
        content = content[:start] + draw(st.just(b"") | BYTES | st.just(content[start:end] * 2)) + content[end:]
    return content


NUMBERS = st.integers(0, 70).map(str) | st.sampled_from(["*", "?", "L", "W", "mon", "JAN", "9" * 40, "00", "-1"])
ITEMS = st.builds("".join, st.lists(NUMBERS | st.sampled_from(["-", "/", "#", "L", "W", ",", "~", "H"]), max_size=6))
CRON = st.lists(ITEMS | st.text(max_size=4), min_size=3, max_size=7).map(" ".join) | st.sampled_from(
    ["@daily", "@x", ""]
)
LENGTHS = st.lists(
    st.sampled_from(["1", "0", "9" * 30, ".", "ms", "s", "m", "h", "d", " ", "-", "e5", "\u0663"]), max_size=40
)


def quick(call: Callable[[], T]) -> T:
    """Return what the call returns; it hangs if it takes long each time, and not when something else came between."""
    gc.disable()
    try:
        for _ in range(3):
            start = time.thread_time()
            result = call()
            if time.thread_time() - start < HANG_S:
                return result
    finally:
        gc.enable()
    raise AssertionError(f"it takes more than {HANG_S} s")


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """What is loaded and compiled once is no hang."""
    load_texts({"/jobs.yaml": EXAMPLE + b"  x: {run: 5, schedule: 1-5/2 7-19/3 * * mon#9}\n"}, NOW)
    load_texts({"/jobs.yaml": "templates: {t: {run: [x]}}\njobs: {x: {extends: t, matrix: {a: [1, ' ']}}}"}, NOW)
    load_texts({"/jobs.yaml": "templates: {t: {run: 5}}\njobs: {x: {extends: t, matrix: 3}}"}, NOW)
    load_texts({"/jobs.yaml": "jobs: {x: {run: y, timezone: Nowhere/Such, schedule: 0-30/7 1-3 1-5 2-3 1-2}}"}, NOW)


@FUZZ
@given(BYTES)
def test_the_guard_outlives_any_bytes(content: bytes):
    document, _, problems = quick(lambda: read("jobs.yaml", content))
    assert document is not None or problems


@FUZZ
@given(BYTES | damaged())
def test_a_load_outlives_any_damage(content: bytes):
    loaded = quick(lambda: load_texts({"/jobs.yaml": content}, NOW))
    assert (loaded.config is None) == any(problem.is_error for problem in loaded.problems)


NAMES = st.sampled_from(["a", "b", "t", "m", "include", "exclude", "x y", ""])
HOLES = ["${{ a }}", "${{b}}", "${{ m }}-${{ a }}", "$${{ a }}", "${{", "${{ a.b }}", "${{ a }}${{ a }}${{ b }}"]
SCALARS = st.sampled_from([*HOLES, "x", "1h", "0 ${{ a }} * * *", "true", "t", "j.x", ""]) | st.integers(0, 3)
WILD = st.recursive(
    SCALARS | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "run", "params", "values", "extends", "matrix", "env", "retry", "depends_on", "schedule", "timeout", "with",
    "handler", "tags", "pool", "dst", "enabled", "${{ a }}",
]  # fmt: skip
AXES = st.dictionaries(NAMES, st.lists(SCALARS | WILD, max_size=3) | SCALARS, max_size=3)
RIGHT = st.fixed_dictionaries(
    {"run": st.sampled_from(["x", ["x", "${{ a }}"]])},
    optional={
        "extends": st.sampled_from(["t", "u", ["t", "u"], ["u", "t", "t"]]),
        "values": st.dictionaries(st.sampled_from("abm"), SCALARS, max_size=3),
        "params": st.dictionaries(
            st.sampled_from("abm"), st.just({}) | st.builds(lambda value: {"default": value}, WILD)
        ),
        "matrix": AXES,
        "depends_on": st.lists(st.sampled_from(["j", "k", "j.x", "k.${{ a }}"]), max_size=2),
    },
)
PATTERNS = RIGHT | st.dictionaries(st.sampled_from(KEYS), WILD, max_size=6) | WILD
PATTERNED = st.fixed_dictionaries(
    {"jobs": st.dictionaries(st.sampled_from(["j", "k", "j.x"]), PATTERNS, max_size=3)},
    optional={
        "templates": st.dictionaries(st.sampled_from(["t", "u", "v", "a b"]), PATTERNS, max_size=3) | WILD,
        "defaults": WILD,
    },
)


@FUZZ
@given(st.lists(PATTERNED, min_size=1, max_size=2))
def test_a_load_outlives_any_templates_and_matrices(files: list[object]):
    texts = {f"/jobs{number}.yaml": json.dumps(data) for number, data in enumerate(files)}
    loaded = quick(lambda: load_texts(texts, NOW))
    assert (loaded.config is None) == any(problem.is_error for problem in loaded.problems)


def outlives(make: Callable[[str], object], text: str, refusal: type[Exception]) -> None:
    with suppress(refusal):
        quick(lambda: make(text))


@FUZZ
@given(CRON | st.text(max_size=300))
def test_cron_outlives_any_text(text: str):
    outlives(lambda text: Cron(text, "Europe/Berlin").next(NOW), text, ScheduleError)


@FUZZ
@given(LENGTHS.map("".join) | st.text(max_size=100))
def test_lengths_outlive_any_text(text: str):
    outlives(parse_length, text, BadLength)


@FUZZ
@given(st.builds("".join, st.lists(st.sampled_from(["1", "0", "9" * 30, "/", "m", "1m", " "]), max_size=8)) | st.text())
def test_rate_limits_outlive_any_text(text: str):
    outlives(parse_rate, text, BadRate)


CLOCKS = st.sampled_from(["22:00", "06:00", "24:00", "00:00", "02:30", "7:00", "25:00", "", "x"]) | st.text(max_size=6)
WINDOWS = st.fixed_dictionaries(
    {"from": CLOCKS, "to": CLOCKS},
    optional={
        "days": st.lists(st.sampled_from(["mon", "sat", "sun", "day"]), max_size=3),
        "outside": st.sampled_from(["wait", "skip", "run"]),
    },
)
DATES = st.sampled_from(["2026-12-24", "2027-02-29", "0000-00-00", "9999-12-31", "x"]) | st.text(max_size=12)
CALENDARS = st.lists(DATES, max_size=4) | st.fixed_dictionaries(
    {}, optional={"days": st.lists(DATES, max_size=3), "weekdays": st.lists(st.sampled_from(["mon", "sun", "no"]))}
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe"])


@FUZZ
@given(WINDOWS | st.lists(WINDOWS, max_size=3), CALENDARS, CRON | st.just("0 12 * * *"), ZONES)
def test_windows_and_calendars_outlive_any_text(window, calendar, cron, zone):
    job = {"run": "x", "schedule": cron, "window": window, "calendar": "c", "timezone": zone}
    text = json.dumps({"calendars": {"c": calendar}, "jobs": {"a": job}})
    loaded = quick(lambda: load_texts({"/jobs.yaml": text}, NOW))
    assert (loaded.config is None) == any(problem.is_error for problem in loaded.problems)
