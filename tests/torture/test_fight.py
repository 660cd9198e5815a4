"""A short fight of four schedulers over four hundred ticks; `python -m tests.torture.fight` plays long ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dagsched.stores import Address
from tests.postgres import own_server
from tests.torture.fight import Fight, play, takeovers

SEED = 7
SECONDS = 8
BEATS = 30


@pytest.mark.skipif(os.environ.get("DAGSCHED_FAULTS") != "all", reason="takes minutes on a busy machine")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left of a run is looked for in /proc")
def test_four_schedulers_fight_over_ticks_and_break_no_promise(tmp_path: Path):
    server = own_server()
    try:
        address = Address(server.url)
        script = ("kill", "freeze", "crash_server")
        fight = Fight(SEED, SECONDS, tmp_path, address, server, beats=BEATS, script=script, runs_min=400)
        assert play(fight) == []
    finally:
        server.stop()
    # The first, and one each after the kill and the freeze.
    assert takeovers(tmp_path) >= 3
