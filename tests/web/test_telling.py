"""What the engine says, on a page: instants and runs that can be followed, and nothing that was not text before."""

from __future__ import annotations

import pytest

from dagsched.web.telling import told
from tests.web.stored import HOSTILE, NOW


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("exit code 3", "exit code 3"),
        (
            "its retry delay ends at 2026-11-26T08:31:00.250Z",
            'its retry delay ends at <time datetime="2026-11-26T08:31:00.250Z" '
            'title="2026-11-26 08:31:00 UTC">08:31 UTC</time>',
        ),
        (
            "overlap: job:a.b-c:2026-11-25T08:00:00Z was active",
            'overlap: <a href="../runs/job:a.b-c:2026-11-25T08:00:00Z">a.b-c '
            '<time datetime="2026-11-25T08:00:00Z" title="2026-11-25 08:00:00 UTC">25 Nov 08:00</time></a> was active',
        ),
        ("at 2026-02-31T08:00:00Z", "at 2026-02-31T08:00:00Z"),
        ("file-2026-11-26T08:31:00Z.csv", "file-2026-11-26T08:31:00Z.csv"),
    ],
    ids=["plain", "an instant", "a run", "no instant", "a part of a name"],
)
def test_instants_are_times_and_runs_are_links(text: str, html: str) -> None:
    assert str(told(text, NOW, "../")) == html


def test_whatever_else_is_said_stays_text() -> None:
    found = str(told(f"{HOSTILE} job:a:2026-11-25T08:00:00Z {HOSTILE}", NOW, "./"))
    assert "<script" not in found
    assert found.count("&lt;script&gt;") == 2
