"""`logs`: bytes as they were written, of the attempt that was asked for, also while it writes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dagsched.cli.logs import pieces, why_nothing
from dagsched.handlers.launch import log_path
from dagsched.model import Attempt, Outcome, Run, RunState, utc
from dagsched.stores import MemoryStore
from dagsched.stores.contract import Batch


@pytest.fixture
def printed(home, here, capfdbinary, monkeypatch):
    """Call `logs` and return the bytes it printed."""
    from dagsched.cli import main

    def logs(*words: str) -> tuple[int, bytes]:
        code = main(["logs", *words])
        return code, capfdbinary.readouterr().out

    return logs


@pytest.mark.parametrize(
    ("words", "data"),
    [
        pytest.param(["extract:2026-11-23T01:00:00Z"], b"17 rows\nof \xff bytes", id="newest attempt"),
        pytest.param(["extract:2026-11-23T01:00:00Z", "--attempt", "1"], b"no luck\n", id="first attempt"),
        pytest.param(["extract"], b"so far", id="job means its newest started run"),
        pytest.param(["load"], b"", id="nothing written"),
        pytest.param(["tidy"], b"", id="never started"),
    ],
)
def test_output_is_printed_byte_for_byte(printed, words, data):
    assert printed(*words) == (0, data)


def test_an_attempt_that_never_was_is_refused(call, home):
    result = call("logs", "load", "--attempt", "4")
    assert result.code == 2
    assert "unknown attempt of job:load:2026-11-23T02:00:00.007Z: '4'" in result.err


def test_json_is_one_object_per_line_of_output(call, home):
    rows = call("logs", "extract:2026-11-23T01:00:00Z", "--json").rows
    assert rows == [
        {"run": "job:extract:2026-11-23T01:00:00Z", "attempt": 2, "line": "17 rows"},
        {"run": "job:extract:2026-11-23T01:00:00Z", "attempt": 2, "line": "of \ufffd bytes"},
    ]


def test_a_log_that_was_deleted_is_empty(printed, home):
    (home / "logs/extract.3").unlink()
    assert printed("extract") == (0, b"")


TICK = utc(2026, 11, 23, 1)


def test_following_goes_on_with_the_next_attempt_until_the_run_has_ended(tmp_path: Path):
    run = Run("job", TICK, RunState.RUNNING, attempts=1)
    first = Attempt("job", TICK, 1, TICK, log="one")
    second = Attempt("job", TICK, 2, TICK, log="two")

    async def follow() -> list[tuple[int, bytes]]:
        store = MemoryStore()
        await store.open(write=True)
        await store.acquire("a test")
        await store.commit(Batch(runs=[run], new_attempts=[first]))
        steps = iter(
            [
                lambda: (tmp_path / "one").write_bytes(b"a"),
                lambda: (tmp_path / "one").write_bytes(b"ab"),
                lambda: store.commit(
                    Batch(attempts=[first._replace(ended=TICK, outcome=Outcome.FAILED)], new_attempts=[second])
                ),
                lambda: (tmp_path / "two").write_bytes(b"x"),
                lambda: store.commit(Batch(runs=[run._replace(state=RunState.SUCCESS, ended=TICK)])),
            ]
        )

        async def wait(_: float) -> None:
            done = next(steps)()
            if asyncio.iscoroutine(done):
                await done

        return [(piece.attempt, piece.data) async for piece in pieces(store, tmp_path, run, follow=True, wait=wait)]

    assert asyncio.run(follow()) == [(1, b"a"), (1, b"b"), (2, b"x")]


def test_following_shows_output_while_the_attempt_is_under_way_and_nothing_of_it_is_on_record(tmp_path: Path):
    run = Run("job", TICK, RunState.RUNNING, attempts=1)
    attempt = Attempt("job", TICK, 1, TICK)
    log = tmp_path / log_path(run, 1)
    log.parent.mkdir(parents=True)

    async def follow() -> list[bytes]:
        store = MemoryStore()
        await store.open(write=True)
        await store.acquire("a test")
        await store.commit(Batch(runs=[run], new_attempts=[attempt]))
        ended = Batch(
            runs=[run._replace(state=RunState.SUCCESS, ended=TICK)],
            attempts=[attempt._replace(ended=TICK, outcome=Outcome.SUCCESS, log=log_path(run, 1))],
        )
        steps = iter([lambda: log.write_bytes(b"a"), lambda: log.write_bytes(b"ab"), lambda: store.commit(ended)])
        seen: list[bytes] = []

        async def wait(_: float) -> None:
            done = next(steps)()
            if asyncio.iscoroutine(done):
                await done

        async for piece in pieces(store, tmp_path, run, follow=True, wait=wait):
            assert (await store.attempts("job", TICK))[0].ended is None
            seen.append(piece.data)
        return seen

    assert asyncio.run(follow()) == [b"a", b"b"]


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        pytest.param({"place": "batch1", "output_bytes": 7}, "what {} has written is on batch1", id="elsewhere"),
        pytest.param({"place": "batch1"}, "{} has written nothing", id="nothing there"),
        pytest.param({"output_bytes": 7}, "{} has written nothing", id="gone from here"),
    ],
)
def test_output_that_stayed_on_another_machine_is_said_to_be_there(attempt, words):
    tick = utc(2026, 11, 23)

    async def body():
        store = MemoryStore()
        await store.open(write=True)
        await store.acquire("tests")
        run = Run("a", tick, RunState.SUCCESS, attempts=1)
        await store.commit(
            Batch(runs=[run], new_attempts=[Attempt("a", tick, 1, tick, tick, Outcome.SUCCESS, **attempt)])
        )
        return await why_nothing(store, run)

    assert asyncio.run(body()) == words.format("job:a:2026-11-23T00:00:00Z")
