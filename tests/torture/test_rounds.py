"""Rounds are played apart from each other, and what becomes of each is told."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from tests.torture import processes
from tests.torture.round import Result
from tests.torture.rounds import Order, Played, Total, play_all


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="rounds need /proc")
def test_a_round_whose_harness_fails_is_told_and_ends_no_other(tmp_path: Path):
    package = tmp_path / "dagsched"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("raise SystemExit('no program at all')\n")
    played = list(play_all(deque([Order(1, 1, tmp_path), Order(2, 1, tmp_path)]), 2, tmp_path))
    assert {each.order.seed for each in played} == {1, 2}
    for each in played:
        assert each.result is None
        assert not each.is_clean
        assert any("no program at all" in line for line in each.lines())
        assert processes.naming(each.folder) == []


def test_the_sum_counts_rounds_violations_and_failures():
    total = Total()
    clean = Result(1, rows=5, attempts=4, events=9, start_s=[0.5], reload_s=[0.2])
    unclean = Result(2, rows=7, start_s=[0.9], repeated=["a"], violations=[("P9", "x"), ("P9", "y"), ("P2", "z")])
    for result in (clean, unclean, None):
        total.add(Played(Order(1, 1), Path("out"), result))
    assert str(total).splitlines() == [
        "3 rounds, 2 not clean, the harness failed in 1: 12 rows, 4 attempts, 9 events, 2 starts of a daemon",
        "violations by promise: P2 1, P9 2; 1 attempts repeated after success",
        "longest start 0.90 s, longest reload 0.20 s",
    ]
