"""One short round on a PostgreSQL server that dies too; `--store postgresql` plays long ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.torture.evidence import read_folder
from tests.torture.round import POSTGRESQL, play

SEED = 3
SECONDS = 6


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left of a run is looked for in /proc")
def test_a_short_round_of_several_schedulers_breaks_no_promise(tmp_path: Path):
    result = play(SEED, SECONDS, tmp_path, store=POSTGRESQL, favours=["crash_server", "kill"])
    assert [words for _, words in result.violations] == []
    deeds = " ".join(json.loads((tmp_path / "driver.json").read_text())["deeds"])
    assert "crash_server" in deeds or "kill" in deeds
    assert len(list(tmp_path.glob("state-*"))) > 1, "one scheduler is nothing to take over from"
    assert any(line.kind == "end" for line in read_folder(tmp_path).journal), "no job ever ended by itself"
