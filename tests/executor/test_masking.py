"""What an attempt with secrets prints reaches its log masked, while it runs and whatever becomes of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagsched.model import Outcome
from dagsched.spawner.masking import Mask
from tests.executor.harness import Hand, eventually, order, python

SECRET = 'pa"ss wörd/é'


def secret_order(name: str, *argv: str, value: str = SECRET, **parts):
    return order(name, *argv, env={"PW": value}, secrets=("PW",), **parts)


def leaks(folder: Path, value: str = SECRET) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"{SECRET}\n".encode()).decode()[:16],
    ],
    ids=["as it is", "ASCII JSON", "JSON", "in a URL", "base64", "base64 with more behind it"],
)
def test_a_secret_is_found_in_the_forms_in_which_programs_print_it(form):
    masked = Mask([SECRET]).text(f"before {form} after")
    assert masked.startswith("before ***")
    assert form not in masked


def test_lines_of_a_long_secret_are_found_alone_and_short_ones_are_left():
    mask = Mask(["-----BEGIN KEY-----\nabcdefgh\n}"])
    assert mask.text("a }\nabcdefgh\n") == "a }\n***\n"


@given(st.lists(st.sampled_from(["abab", "abc", "bababb", "xabab"]).filter(lambda each: len(each) > 3), min_size=1),
       st.text("abx", max_size=40), st.lists(st.integers(1, 9), min_size=1, max_size=12))  # fmt: skip
def test_pieces_of_any_size_are_masked_as_the_whole_would_be(secrets, text, sizes):
    mask, rest, out, place = Mask(secrets), b"", b"", 0
    data = text.encode()
    for size in [*sizes, len(data)]:
        piece = rest + data[place : place + size]
        place += size
        whole = mask.settled(piece)
        out, rest = out + mask.data(piece[:whole]), piece[whole:]
    shown = (out + (rest if len(rest) < 4 else b"***")).decode()
    assert len(rest) < mask.longest
    assert all(secret not in shown for secret in secrets)
    if len(rest) < 4 and not any(secret in text for secret in secrets):
        assert shown == text


def test_a_log_is_masked_while_the_attempt_runs(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            script = 'echo "pw=$PW."; until [ -e go ]; do sleep 0.05; done'
            waiting = asyncio.ensure_future(hand.run(secret_order("j", script, cwd=str(tmp_path))))
            log = tmp_path / "logs/j/2026-11-23T14:00:00Z.1.log"
            await eventually(lambda: log.exists() and log.read_bytes() == b"pw=***.\n")
            assert leaks(tmp_path) == []
            (tmp_path / "go").touch()
            exit = await waiting
            assert (exit.outcome, hand.log(exit)) == (Outcome.SUCCESS, b"pw=***.\n")

    asyncio.run(main())


def test_outputs_and_reasons_are_masked(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(secret_order("j", 'echo "got=[$PW]" >> "$DAGSCHED_OUTPUT"'))
            assert exit.outputs == {"got": "[***]"}
            exit = await hand.run(secret_order("k", f"/nowhere/{SECRET}", "x"))
            assert exit.outcome is Outcome.SPAWN_ERROR
            assert exit.reason.startswith("cannot run '/nowhere/***'")
            assert leaks(tmp_path) == []

    asyncio.run(main())


def test_a_secret_written_in_two_pieces_is_found_and_a_piece_at_the_end_is_no_hint(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            halves = "printf %s 'abcd'; sleep 0.5; printf %s 'efgh'; printf 'then abcdef'"
            exit = await hand.run(secret_order("j", halves, value="abcdefgh"))
            assert hand.log(exit) == b"***then ***"

    asyncio.run(main())


def test_of_a_log_beyond_its_cap_head_and_tail_stay_masked(tmp_path):
    """40 MB against a cap of 64 kB: the middle is not even read."""
    code = (
        "import os,sys; pw=os.environ['PW'].encode(); line=b'x'*50+pw+b'\\n'\n"
        "for _ in range(400): os.write(1, line*1500)\n"
        "os.write(1, b'the end '+pw)"
    )

    async def main():
        async with Hand(tmp_path, log_bytes_max=65536) as hand:
            exit = await hand.run(python("j", code, env={"PW": "hunter2-hunter2"}, secrets=("PW",)))
            data = hand.log(exit)
            assert len(data) < 66_000
            assert data.startswith(b"x" * 50 + b"***\n")
            assert data.endswith(b"the end ***")
            assert b"bytes left out" in data
            assert b"hunter2" not in data
            assert b"unter2-" not in data

    asyncio.run(main())


def test_after_the_spawner_was_killed_nothing_unmasked_is_left(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            script = 'echo "log $PW"; echo "out=$PW" >> "$DAGSCHED_OUTPUT"; touch ready; sleep 60'
            output = f"outputs/{digest('j')}"
            await hand.start(secret_order("j", script, cwd=str(tmp_path), output=output))
            await eventually((tmp_path / "ready").exists)
            assert leaks(tmp_path) == [str(tmp_path / output)]
            os.kill(hand.executor.spawner_pid, signal.SIGKILL)
            await hand.gone()
            assert leaks(tmp_path) == []

    asyncio.run(main())


def digest(name: str) -> str:
    import hashlib

    return hashlib.sha256(f"job:{name}:2026-11-23T14:00:00Z/1".encode()).hexdigest()[:24]


def test_secrets_are_in_no_journal_and_no_log_of_the_spawner_after_success_failure_and_timeout(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            for number, (script, parts) in enumerate(
                [("echo $PW", {}), ("echo $PW; exit 3", {}), ("echo $PW; sleep 60", {"timeout_s": 0.3, "grace_s": 0.1})]
            ):
                await hand.run(secret_order(f"j{number}", script, **parts))
                assert leaks(tmp_path) == []

    asyncio.run(main())
