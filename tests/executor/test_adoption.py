"""What survives the death of a daemon, and of the spawner."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dagsched.errors import SpawnerError
from dagsched.executor import Executor, Exited, Living
from dagsched.model import Outcome
from dagsched.spawner import cgroups, journal
from tests.executor.harness import Hand, dies, file_with, is_alive, kill, order, python
from tests.executor.test_leftovers import daemonize

RUN = "job:j:2026-11-23T14:00:00Z"


def waits_for(path: Path) -> str:
    return f"until [ -e {path} ]; do sleep 0.01; done"


async def vanish(hand: Hand) -> None:
    """What a killed daemon looks like to the spawner: the connection is gone, nothing was said."""
    await hand.hand_over()


def test_living_attempt_is_adopted_and_its_end_is_reported_to_the_next_daemon(tmp_path):
    async def main():
        async with Hand(tmp_path / "state") as first:
            started = await first.start(order("j", waits_for(tmp_path / "go")))
            pid = first.executor.spawner_pid
            await vanish(first)
        async with Hand(tmp_path / "state") as second:
            found = second.inventory
            assert found.living == (Living(RUN, 1, started.pid),)
            assert (found.exits, found.recorded) == ((), frozenset({(RUN, 1)}))
            assert (found.survived, found.rebooted, second.executor.spawner_pid) == (True, False, pid)
            (tmp_path / "go").touch()
            await second.until(lambda: second.exits)
            assert second.exits[0].outcome is Outcome.SUCCESS

    asyncio.run(main())


def test_exit_that_no_daemon_saw_is_delivered_until_it_is_acknowledged(tmp_path):
    async def main():
        async with Hand(tmp_path / "state") as first:
            await first.start(order("keeps-spawner", "sleep", "60"))
            await first.start(order("j", f"{waits_for(tmp_path / 'go')}; echo n=1 > $DAGSCHED_OUTPUT; echo hi"))
            await vanish(first)
        (tmp_path / "go").touch()
        seen = []
        for _ in range(2):
            async with Hand(tmp_path / "state") as daemon:
                await daemon.until(lambda hand=daemon: [*hand.inventory.exits, *hand.exits])
                seen += [*daemon.inventory.exits, *daemon.exits]
                await vanish(daemon)
        assert [(each.run, each.outcome, each.outputs, each.log) for each in seen] == 2 * [
            (RUN, Outcome.SUCCESS, {"n": "1"}, "logs/j/2026-11-23T14:00:00Z.1.log")
        ]
        async with Hand(tmp_path / "state") as third:
            third.executor.acknowledge(third.inventory.exits[0].seq)
            await vanish(third)
        async with Hand(tmp_path / "state") as fourth:
            assert fourth.inventory.exits == ()

    asyncio.run(main())


def test_exit_survives_the_end_of_the_spawner_and_is_delivered_by_the_next(tmp_path):
    async def main():
        async with Hand(tmp_path) as first:
            pid = first.executor.spawner_pid
            await first.run(order("j", "exit 5; "))
            await vanish(first)
        await dies(pid)
        async with Hand(tmp_path) as second:
            assert [(each.run, each.exit_code) for each in second.inventory.exits] == [(RUN, 5)]
            assert not second.inventory.survived
            second.executor.acknowledge(second.inventory.exits[0].seq)
            await second.close()
        async with Hand(tmp_path) as third:
            assert third.inventory.exits == ()
            assert third.inventory.recorded == frozenset()

    asyncio.run(main())


def test_daemon_that_is_killed_leaves_its_attempts_running_and_its_last_orders_obeyed(tmp_path):
    script = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from dagsched.executor import Executor
from tests.executor.harness import order
async def main():
    executor = Executor(Path({str(tmp_path / "state")!r}), lambda report: None)
    await executor.connect()
    text = "echo began >> {tmp_path}/began; {waits_for(tmp_path / "go")}"
    executor.start([order(f"j{{n}}", text) for n in range(20)])
    executor._send_all()
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""

    async def main():
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script])
        async with Hand(tmp_path / "state") as hand:
            assert hand.inventory.survived
            assert len(hand.inventory.living) == 20
            (tmp_path / "go").touch()
            await hand.until(lambda: len(hand.exits) == 20)
            assert {each.outcome for each in hand.exits} == {Outcome.SUCCESS}
            assert (tmp_path / "began").read_text().count("began") == 20

    asyncio.run(main())


def test_second_connection_is_answered_only_when_the_first_has_ended(tmp_path):
    async def main():
        async with Hand(tmp_path) as first:
            with pytest.raises(SpawnerError, match="another daemon may be connected"):
                await Executor(tmp_path, lambda report: None, patience_s=0.2).connect()
            second = Hand(tmp_path)
            waiting = asyncio.create_task(second.__aenter__())
            await first.start(order("j", "sleep", "60"))
            assert not waiting.done()
            await vanish(first)
            await waiting
            assert [each.run for each in second.inventory.living] == [RUN]
            await second.__aexit__(None, None, None)

    asyncio.run(main())


@pytest.mark.parametrize("net", ["cgroup", "mark", "session"])
def test_killed_spawner_is_replaced_and_the_remains_of_its_attempts_are_killed(tmp_path, net, monkeypatch):
    path = tmp_path / "pids"
    daemon = daemonize(path)
    if net == "cgroup":
        if not can_make_cgroups():
            pytest.skip("no cgroup v2 may be made here")
        daemon = f"env -i {daemon}"
    text = f"echo $$ >> {path}; {'true' if net == 'session' else daemon}; sleep 60"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            first = hand.executor.spawner_pid
            done = await hand.run(order("done", "exit 2; "))
            if net != "cgroup":
                leave_cgroup(first)
            command = order("j", *(["env", "-i", "sh", "-c", text] if net == "session" else [text]))
            await hand.start(command)
            pids = [int(each) for each in await file_with(path, 1 if net == "session" else 2)]
            kill(first)
            gone = await hand.gone()
            assert [pid for pid in pids if is_alive(pid)] == []
            assert gone.inventory.living == ()
            assert gone.inventory.recorded == {(RUN, 1), (done.run, 1)}
            assert [(each.run, each.exit_code) for each in gone.inventory.exits] == [(done.run, 2)]
            assert not gone.inventory.survived
            assert hand.executor.spawner_pid not in (first, None)
            again = await hand.run(order("k", "/bin/true"))
            assert again.outcome is Outcome.SUCCESS

    asyncio.run(main())


def can_make_cgroups() -> bool:
    above = cgroups.own_cgroup()
    return bool(above) and os.access(above, os.W_OK) and os.path.exists(above + "/cgroup.procs")


def leave_cgroup(pid: int) -> None:
    """Take a spawner out of the cgroup it made, as where none may be made."""
    if can_make_cgroups():
        Path(cgroups.own_cgroup(), "cgroup.procs").write_text(str(pid))


def test_what_was_never_recorded_was_never_started(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            kill(hand.executor.spawner_pid)
            hand.executor.start([order("j", "/bin/true")])
            gone = await hand.gone()
            assert gone.inventory.recorded == frozenset()
            exit = await hand.run(order("j", "/bin/true"))
            assert (exit.attempt, exit.outcome) == (1, Outcome.SUCCESS)

    asyncio.run(main())


def test_lost_start_stays_on_record_until_the_daemon_has_settled(tmp_path):
    async def main():
        async with Hand(tmp_path) as first:
            await first.start(order("j", "sleep", "60"))
            pid = first.executor.spawner_pid
            await vanish(first)
            kill(pid)
        for _ in range(2):
            async with Hand(tmp_path) as daemon:
                assert daemon.inventory.recorded == {(RUN, 1)}
                assert (daemon.inventory.living, daemon.inventory.exits) == ((), ())
                await vanish(daemon)
        async with Hand(tmp_path) as fourth:
            fourth.executor.start([order("j", f"touch {tmp_path}/again ")])
            await fourth.run(order("k", "/bin/true"))
            assert not (tmp_path / "again").exists()
            fourth.executor.settled()
            await vanish(fourth)
        async with Hand(tmp_path) as fifth:
            assert (RUN, 1) not in fifth.inventory.recorded

    asyncio.run(main())


def test_restart_of_the_machine_is_told_until_the_daemon_has_settled(tmp_path):
    old = journal.Journal(str(tmp_path / "spawner-1.journal"))
    records = [
        {"t": "H", "boot": "another boot", "rebooted": False, "cgroup": "", "next": 8},
        {"t": "S", "run": RUN, "attempt": 1, "at": 0},
        {"t": "P", "run": RUN, "attempt": 1, "pid": os.getpid(), "ticks": [0, 1 << 62]},
    ]
    old.rewrite(map(journal.body_of, records))
    old.close()

    async def main():
        for _ in range(2):
            async with Hand(tmp_path) as hand:
                assert hand.inventory.rebooted
                assert hand.inventory.recorded == {(RUN, 1)}
                await vanish(hand)
        async with Hand(tmp_path) as third:
            third.executor.settled()
            await vanish(third)
        async with Hand(tmp_path) as fourth:
            assert not fourth.inventory.rebooted

    asyncio.run(main())


def test_torn_last_line_is_left_out_silently_and_a_damaged_one_is_reported(tmp_path):
    async def main():
        async with Hand(tmp_path) as first:
            await first.run(order("a", "/bin/true"), order("b", "/bin/true"))
            pid = first.executor.spawner_pid
            await vanish(first)
        await dies(pid)
        path = tmp_path / "spawner-1.journal"
        lines = path.read_bytes().splitlines(keepends=True)
        damaged = lines[-1].replace(b"job:", b"jab:")
        path.write_bytes(b"".join([*lines[:-1], damaged, lines[-1][: len(lines[-1]) // 2]]))
        async with Hand(tmp_path) as second:
            assert len(second.inventory.exits) == 1
            (remark,) = second.remarks()
            assert f"spawner-1.journal:{len(lines)}: a damaged record was left out" in remark

    asyncio.run(main())


def test_state_directory_with_a_long_and_odd_path_works(tmp_path):
    state = tmp_path / ("long" * 40) / "with ‘odd’ [bytes]" / os.fsdecode(b"\xff")

    async def main():
        async with Hand(state) as first:
            await first.start(order("j", "sleep", "60"))
            await vanish(first)
        async with Hand(state) as second:
            assert second.inventory.survived
            exit = await second.run(order("k", "echo a=1 > $DAGSCHED_OUTPUT; "))
            assert (exit.outcome, exit.outputs) == (Outcome.SUCCESS, {"a": "1"})

    asyncio.run(main())


def test_spawner_of_another_version_drains_beside_the_new_one(tmp_path):
    async def main():
        async with Hand(tmp_path / "state", protocol=1) as old:
            await old.start(order("j", waits_for(tmp_path / "go")))
            await old.start(order("stopped", "sleep", "60"))
            old_pid = old.executor.spawner_pid
            await vanish(old)
        async with Hand(tmp_path / "state", protocol=2) as new:
            assert new.executor.spawner_pid != old_pid
            assert {each.run for each in new.inventory.living} == {RUN, order("stopped").run}
            assert (await new.run(order("k", "/bin/true"))).outcome is Outcome.SUCCESS
            assert not new.inventory.survived
            new.executor.stop(order("stopped").run, 1, "cancel", 0)
            (tmp_path / "go").touch()
            await new.until(lambda: len(new.exits) == 3)
            for each in new.exits:
                new.executor.acknowledge(each.seq)
            assert {each.run: each.outcome for each in new.exits}[RUN] is Outcome.SUCCESS
            assert is_alive(old_pid)
            await new.close()
            await dies(old_pid)
        async with Hand(tmp_path / "state", protocol=2) as third:
            assert third.inventory.exits == ()
            assert not (tmp_path / "state/spawner-1.journal").exists()

    asyncio.run(main())


def test_killed_spawner_of_another_version_is_taken_over(tmp_path):
    async def main():
        async with Hand(tmp_path / "state", protocol=1) as old:
            done = await old.run(order("done", "exit 3; "))
            started = await old.start(order("j", "sleep", "60"))
            old_pid = old.executor.spawner_pid
            await vanish(old)
        async with Hand(tmp_path / "state", protocol=2) as new:
            mine = await new.start(order("k", "sleep", "60"))
            kill(old_pid)
            gone = (await new.gone()).inventory
            assert not is_alive(started.pid)
            assert is_alive(mine.pid)
            assert [each.run for each in gone.living] == [mine.run]
            assert gone.recorded == {(RUN, 1), (done.run, 1), (mine.run, 1)}
            assert [each.exit_code for each in gone.exits] == [3]

    asyncio.run(main())


def test_spawner_killed_during_a_clean_close_leaves_nothing_all_the_same(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            started = await hand.start(order("j", "sleep", "60"))
            closing = asyncio.create_task(hand.close())
            await asyncio.sleep(0)
            kill(hand.executor.spawner_pid)
            await closing
            assert not is_alive(started.pid)

    asyncio.run(main())


def test_many_exits_arrive_whole_and_once(tmp_path):
    async def main():
        async with Hand(tmp_path) as first:
            launches = [order(f"j{n}", "/bin/true") for n in range(600)]
            await first.run(*launches)
            assert len(first.exits) == 600
            await vanish(first)
        async with Hand(tmp_path) as second:
            assert {each.run for each in second.inventory.exits} == {each.run for each in launches}
            assert len({each.seq for each in second.inventory.exits}) == 600

    asyncio.run(main())


def test_order_given_again_for_an_attempt_that_has_ended_never_starts_it_twice(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            wanted = order("j", f"echo once >> {tmp_path}/journal; true")
            exit = await hand.run(wanted)
            # As after the death of a spawner: the end came in the turn that gave the order again.
            hand.executor.start([wanted])
            hand.executor.acknowledge(exit.seq)
            await hand.run(order("later", "true"))
            assert len(hand.exits) == 2
        assert (tmp_path / "journal").read_text() == "once\n"

    asyncio.run(main())


def test_journal_is_shortened_once_exits_are_acknowledged(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            sizes = []
            for batch in range(12):
                await hand.run(*(order(f"j{batch}-{n}", "/bin/true", env={"X": "x"}) for n in range(100)))
                for report in hand.of(Exited)[-100:]:
                    hand.executor.acknowledge(report.exit.seq)
                sizes.append((tmp_path / "spawner-1.journal").stat().st_size)
            assert max(sizes) < 400_000
            assert sizes != sorted(sizes)

    asyncio.run(main())


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root may mount a small disk")
def test_full_disk_refuses_starts_and_keeps_exits_until_there_is_room(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(state)], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")

    async def main():
        async with Hand(state) as hand:
            await hand.start(order("j", f"{waits_for(tmp_path / 'go')}; exit 6"))
            fill(state / "ballast")
            # The last block of the journal has room for a few starts yet.
            tried = [await hand.run(order(f"k{n}", "/bin/true")) for n in range(50)]
            refused = [each for each in tried if each.outcome is Outcome.SPAWN_ERROR]
            assert len(refused) > 25
            assert all("no start can be recorded" in each.reason for each in refused[-25:])
            (tmp_path / "go").touch()
            await hand.until(lambda: [each for each in hand.exits if (each.run, each.exit_code) == (RUN, 6)])
            assert any("cannot be written" in each for each in hand.remarks())
            (state / "ballast").unlink()
            assert (await hand.run(order("l", "/bin/true"))).outcome is Outcome.SUCCESS
            pid = hand.executor.spawner_pid
            await vanish(hand)
            await dies(pid)
        async with Hand(state) as second:
            assert {each.run: each.exit_code for each in second.inventory.exits}[RUN] == 6

    try:
        asyncio.run(main())
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 1024)
        except OSError:
            return


def test_python_that_cannot_start_a_spawner_says_why(tmp_path):
    (tmp_path / "spawner-1.lock").mkdir()

    async def main():
        with pytest.raises(SpawnerError, match="failed at its start"):
            await Executor(tmp_path, lambda report: None).connect()

    asyncio.run(main())


def test_log_goes_on_where_the_daemon_changed(tmp_path):
    code = (
        "import os, time\nprint('one', flush=True)\n"
        f"while not os.path.exists('{tmp_path}/go'): time.sleep(0.01)\nprint('two')"
    )

    async def main():
        async with Hand(tmp_path / "state") as first:
            launch = python("j", code)
            await first.start(launch)
            await file_with(tmp_path / "state" / launch.log)
            await vanish(first)
        (tmp_path / "go").touch()
        async with Hand(tmp_path / "state") as second:
            (exit,) = await second.until(lambda: [*second.inventory.exits, *second.exits])
            assert second.log(exit) == b"one\ntwo\n"

    asyncio.run(main())


def test_nonsense_ends_the_connection_and_no_attempt(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            started = await hand.start(order("j", "sleep", "60"))
            pid = hand.executor.spawner_pid
            hand.executor._own.send({"do": "stop"})
            hand.executor._own.flush()
            gone = await hand.gone()
            assert gone.inventory.survived
            assert gone.inventory.living == (Living(RUN, 1, started.pid),)
            assert hand.executor.spawner_pid == pid

    asyncio.run(main())
