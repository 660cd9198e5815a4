"""What an attempt prints, in a file that is not there while nothing is."""

import asyncio
import os

import pytest

from dagsched.model import Outcome
from dagsched.spawner import logs
from tests.executor.harness import Hand, eventually, file_with, order, python


def test_silent_attempt_leaves_no_file_and_no_folder(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", "/bin/true"))
            assert exit.log == ""
            assert list((tmp_path / "logs").iterdir()) == []

    asyncio.run(main())


def test_both_streams_go_to_one_private_file_in_order(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", "echo one; echo two >&2; echo three"))
            assert exit.log == "logs/j/2026-11-23T14:00:00Z.1.log"
            assert hand.log(exit) == b"one\ntwo\nthree\n"
            assert exit.output_bytes == 14
            assert (tmp_path / exit.log).stat().st_mode & 0o777 == 0o600

    asyncio.run(main())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"x" * 300_000, id="one endless line"),
        pytest.param(bytes(range(256)) * 100, id="binary"),
        pytest.param(b"no end of line", id="no end of line"),
    ],
)
def test_any_bytes_are_kept_as_they_are(tmp_path, data):
    (tmp_path / "data").write_bytes(data)

    async def main():
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(order("j", "cat", str(tmp_path / "data")))
            assert hand.log(exit) == data

    asyncio.run(main())


def test_attempt_that_closes_its_output_runs_on(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", "exec >&- 2>&-; exit 3"))
            assert (exit.outcome, exit.exit_code, exit.log) == (Outcome.FAILED, 3, "")

    asyncio.run(main())


def test_log_can_be_read_while_the_attempt_runs(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            launch = order("j", "echo early; sleep 60")
            await hand.start(launch)
            assert await file_with(tmp_path / launch.log) == ["early"]

    asyncio.run(main())


def test_long_output_keeps_head_and_tail_and_says_how_much_is_missing(tmp_path):
    size, limit = 50_000_000, 100_000

    async def main():
        async with Hand(tmp_path, log_bytes_max=limit) as hand:
            code = (
                "import os; os.write(1, b'first'); "
                f"[os.write(1, b'x' * 10**6) for _ in range({size // 10**6})]; os.write(1, b'last')"
            )
            exit = await hand.run(python("j", code))
            text = hand.log(exit)
            head, _, rest = text.partition(b"\n[dagsched: ")
            number, _, tail = rest.partition(b" bytes left out; a log is capped at 100000 bytes]\n")
            assert head == b"first" + b"x" * (limit // 2 - 5)
            assert tail == b"x" * (limit // 2 - 4) + b"last"
            assert int(number) == size + 9 - limit
            assert exit.output_bytes == size + 9

    asyncio.run(main())


def test_endless_output_is_cut_while_it_is_written(tmp_path):
    async def main():
        async with Hand(tmp_path, log_bytes_max=1_000_000) as hand:
            launch = order("j", "yes")
            await hand.start(launch)
            path = tmp_path / launch.log
            await eventually(lambda: path.exists() and path.stat().st_size > 20_000_000)
            await eventually(lambda: path.stat().st_blocks * 512 < path.stat().st_size // 2)
            hand.executor.stop(launch.run, 1, "cancel", 0)
            exit = await hand.run(launch)
            assert (tmp_path / exit.log).stat().st_size < 1_001_000
            assert (tmp_path / exit.log).read_bytes().startswith(b"y\ny\n")

    asyncio.run(main())


class TestWithoutTheKernelsHelp:
    """Where a file cannot be made without a name, or a hole not be punched."""

    @pytest.fixture(autouse=True)
    def poor(self, monkeypatch):
        monkeypatch.setattr(logs, "HAS_PROC", False)
        monkeypatch.setattr(logs, "_libc", lambda: None)

    @pytest.fixture
    def log(self, tmp_path):
        fd = os.open(tmp_path, os.O_RDONLY)
        yield logs.Log(fd, "logs/j/x.log", 1000, [])
        os.close(fd)

    def test_empty_file_is_removed(self, tmp_path, log):
        assert log.finish() == ("", 0)
        assert list((tmp_path / "logs/j").iterdir()) == []

    def test_written_file_stays(self, tmp_path, log):
        os.write(log.fd, b"text")
        assert log.finish() == ("logs/j/x.log", 4)
        assert (tmp_path / "logs/j/x.log").read_bytes() == b"text"

    def test_middle_is_cut_off_and_counted(self, tmp_path, log):
        os.write(log.fd, b"a" * 5000)
        log.watch()
        assert os.fstat(log.fd).st_size == 500
        os.write(log.fd, b"b" * 700)
        assert log.finish() == ("logs/j/x.log", 5700)
        text = (tmp_path / "logs/j/x.log").read_bytes()
        assert text == (b"a" * 500 + b"\n[dagsched: 4700 bytes left out; a log is capped at 1000 bytes]\n" + b"b" * 500)


def test_log_of_an_earlier_state_is_replaced(tmp_path):
    (tmp_path / "logs/j").mkdir(parents=True)
    (tmp_path / "logs/j/2026-11-23T14:00:00Z.1.log").write_text("old")

    async def main():
        async with Hand(tmp_path) as hand:
            assert hand.log(await hand.run(order("j", "echo new; "))) == b"new\n"

    asyncio.run(main())


def test_what_one_attempt_prints_never_shows_in_the_log_of_a_silent_one(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            launches = [order(f"j{n}", f"echo {n}; " if n % 3 else "/bin/true") for n in range(90)]
            exits = await hand.run(*launches[:45]) + await hand.run(*launches[45:])
            for number, exit in enumerate(exits):
                assert (hand.log(exit) if exit.log else b"") == (f"{number}\n".encode() if number % 3 else b"")

    asyncio.run(main())
