"""One short round of torture against the real command line; `python -m tests.torture` plays long ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.torture.__main__ import play
from tests.torture.evidence import read_folder

SEED = 12
SECONDS = 8


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left of a run is looked for in /proc")
def test_a_short_round_of_kills_and_edits_breaks_no_promise(tmp_path: Path):
    violations = play(SEED, SECONDS, tmp_path)
    assert [str(violation) for violation in violations] == []
    (folder,) = tmp_path.iterdir()
    evidence, driver = read_folder(folder), json.loads((folder / "driver.json").read_text())
    assert len(driver["restart_s"]) > 1, "no daemon was ever started again"
    assert any(line.kind == "end" for line in evidence.journal), "no job ever ended by itself"
