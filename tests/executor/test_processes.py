"""What the kernel says about processes, and a cgroup where there is none."""

import os
import subprocess
import sys

import pytest

from dagsched.spawner import cgroups, processes

pytestmark = pytest.mark.skipif(not processes.HAS_PROC, reason="there is no /proc here")


@pytest.fixture
def child():
    """A process with a child of its own, a mark, and a name that looks like more of its status."""
    # The grandchild speaks for itself: while it is still in exec the kernel shows it with an empty environment.
    code = "import subprocess; subprocess.Popen(['sh', '-c', 'echo $$; read never'], stdin=subprocess.PIPE).wait()"
    env = {**os.environ, processes.MARK: "state/job:j:x/1"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env, text=True) as made:
        made.grandchild = int(made.stdout.readline())
        yield made
        os.kill(made.grandchild, 9)


def test_name_with_brackets_and_blanks_does_not_shift_the_fields():
    fields = b"7 (a) S 1 (b) S 3 4 5 " + b"0 " * 15 + b"99 0" + b" 0" * 30
    known = processes.Stat(7, fields)
    assert (known.state, known.parent, known.group, known.session, known.start) == ("S", 3, 4, 5, 99)


def test_tree_holds_the_process_and_everything_below_it(child):
    assert {each.pid for each in processes.tree([child.pid])} == {child.pid, child.grandchild}


def test_children_are_the_same_by_either_way_of_asking(child):
    assert child.pid in processes.children(os.getpid())
    assert processes.children(child.pid) == processes._children_by_scan(child.pid) == [child.grandchild]


@pytest.mark.parametrize("has_list", [True, False])
def test_own_children_are_those_of_now_each_time_they_are_asked_for(child, has_list):
    own = processes.OwnChildren()
    if not has_list:
        own._fd = -1
    assert child.pid in own.listed()
    assert own.listed() == processes.children(os.getpid())
    with subprocess.Popen(["sh", "-c", "read never"], stdin=subprocess.PIPE) as another:
        assert {child.pid, another.pid} <= {*own.listed()}
    assert another.pid not in own.listed()


def test_mark_is_read_from_the_environment_and_inherited(child):
    assert processes.mark(child.pid) == processes.mark(child.grandchild) == "state/job:j:x/1"


def test_a_mark_is_never_taken_to_be_missing_while_a_process_is_in_the_middle_of_an_exec(tmp_path):
    script, done = tmp_path / "again", tmp_path / "done"
    script.write_text(f"[ $1 -gt 0 ] && exec sh {script} $(($1 - 1))\n> {done}; read never\n")
    env = {**os.environ, processes.MARK: "state/job:j:x/1"}
    with subprocess.Popen(["sh", script, "200"], env=env, stdin=subprocess.PIPE) as made:
        seen = set()
        while not done.exists():
            seen.add(processes.mark_if_told(made.pid))
    assert "state/job:j:x/1" in seen
    assert seen <= {None, "state/job:j:x/1"}


def test_what_was_started_with_no_environment_has_no_mark(child):
    with subprocess.Popen(["/usr/bin/env", "-i", "sh", "-c", "echo .; read never"], stdin=-1, stdout=-1) as made:
        made.stdout.read(1)
        assert processes.mark_if_told(made.pid) == ""
        made.kill()


def test_start_time_lies_between_the_readings_around_it():
    before = processes.ticks_now()
    with subprocess.Popen(["sleep", "60"]) as made:
        after = processes.ticks_now()
        assert before <= processes.stat(made.pid).start <= after
        made.kill()


def test_process_that_is_gone_is_nothing():
    with subprocess.Popen(["true"]) as made:
        pass
    assert processes.stat(made.pid) is None
    assert processes.tree([made.pid]) == []
    assert processes.mark(made.pid) == ""
    assert processes.children(made.pid) == []
    processes.send(made.pid, 15)
    processes.send_group(made.pid, 15)


def test_cgroup_that_may_not_be_made_is_done_without(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroups, "own_cgroup", lambda: str(tmp_path / "absent" / "folder"))
    monkeypatch.setattr(os, "makedirs", _refuse)
    assert cgroups.enter("x") == ""
    assert cgroups.members(str(tmp_path / "absent")) == set()
    cgroups.kill(str(tmp_path / "absent"))
    cgroups.leave("")


def _refuse(*args, **kwargs):
    raise PermissionError(13, "Permission denied")
