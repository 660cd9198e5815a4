"""A short fight of four schedulers over four hundred ticks, and a longer one in which workers and the server die too.

`python -m tests.torture.fight` plays others.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dagsched.stores import Address
from tests.postgres import own_server
from tests.torture.fight import WORKERS, Fight, play, takeovers

SEED = 7
SECONDS = 8
BEATS = 30
MINUTE_S = 60

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="what is left of a run is looked for in /proc"
)


@pytest.fixture
def server():
    found = own_server()
    yield found
    found.stop()


def test_four_schedulers_fight_over_ticks_and_break_no_promise(tmp_path, server):
    script = ("kill", "freeze", "crash_server")
    fight = Fight(SEED, SECONDS, tmp_path, Address(server.url), server, beats=BEATS, script=script, runs_min=400)
    assert play(fight) == []
    # The first, and one each after the kill and the freeze.
    assert takeovers(tmp_path) >= 3


@pytest.mark.skipif(os.environ.get("DAGSCHED_FAULTS") != "all", reason="takes minutes")
def test_a_minute_of_deaths_of_schedulers_workers_and_the_server_breaks_no_promise(tmp_path, server):
    fight = Fight(SEED, MINUTE_S, tmp_path, Address(server.url), server, workers=WORKERS)
    assert play(fight) == []
    assert any("kill -w" in deed for deed in fight.deeds)
    assert any("crash the server" in deed for deed in fight.deeds)
