"""One short round of torture against the real command line; `python -m tests.torture` plays long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.evidence import read_folder
from tests.torture.round import play

SEED = 12
SECONDS = 8


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left of a run is looked for in /proc")
def test_a_short_round_of_kills_and_edits_breaks_no_promise(tmp_path: Path):
    result = play(SEED, SECONDS, tmp_path)
    assert [words for _, words in result.violations] == []
    assert len(result.start_s) > 1, "no daemon was ever started again"
    assert any(line.kind == "end" for line in read_folder(tmp_path).journal), "no job ever ended by itself"
