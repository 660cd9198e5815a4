from __future__ import annotations

import asyncio
import os
import shutil
import threading
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched import reload
from dagsched.reload import REMOVAL_DELAY, ConfigWatcher, Sources, read_stable

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PATIENCE_S = 10


def jobs(*ids: str) -> str:
    return "jobs:\n" + "".join(f"  {id}: {{run: x}}\n" for id in ids) if ids else "jobs: {}\n"


def after(id: str, *upstreams: str) -> str:
    return f"jobs:\n  {id}: {{run: x, depends_on: [{', '.join(upstreams)}]}}\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def started(*paths: Path) -> Sources:
    """Return sources whose present files are the last good ones."""
    sources = Sources(paths, {})
    assert sources.read(NOW).config is not None
    return sources


def ids(reading) -> list[str]:
    assert reading.config is not None
    return list(reading.config.jobs)


def codes(reading) -> list[str]:
    return [problem.code for problem in reading.problems]


# ---------------------------------------------------------------- what holds now


def test_good_edit_is_taken(tmp_path):
    file = write(tmp_path / "jobs.yaml", jobs("a"))
    sources = started(file)
    write(file, jobs("a", "b"))
    reading = sources.read(NOW)
    assert (ids(reading), reading.reverted, reading.problems) == (["a", "b"], (), ())


def test_bad_edit_leaves_the_last_good_text_and_is_told(tmp_path):
    file = write(tmp_path / "jobs.yaml", jobs("a"))
    sources = started(file)
    write(file, "jobs: {a: {rum: x}}\n")
    reading = sources.read(NOW)
    assert (ids(reading), reading.reverted) == (["a"], (str(file),))
    assert "E101" in codes(reading)


def test_bad_edit_is_tried_again_until_it_is_good(tmp_path):
    file = write(tmp_path / "jobs.yaml", jobs("a"))
    sources = started(file)
    write(file, jobs("b")[:-4])
    assert ids(sources.read(NOW)) == ["a"]
    write(file, jobs("b"))
    assert ids(sources.read(NOW)) == ["b"]


def test_good_file_beside_a_bad_one_is_taken(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    write(tmp_path / "2.yaml", jobs("b"))
    sources = started(tmp_path)
    write(tmp_path / "1.yaml", jobs("a", "c"))
    write(tmp_path / "2.yaml", "jobs: [\n")
    reading = sources.read(NOW)
    assert (ids(reading), reading.reverted) == (["a", "c", "b"], (str(tmp_path / "2.yaml"),))


def test_edit_that_breaks_an_unchanged_file_is_reverted(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    write(tmp_path / "2.yaml", after("b", "a"))
    sources = started(tmp_path)
    write(tmp_path / "1.yaml", jobs("renamed"))
    reading = sources.read(NOW)
    assert (ids(reading), reading.reverted) == (["a", "b"], (str(tmp_path / "1.yaml"),))
    assert [problem.file for problem in reading.problems] == [str(tmp_path / "2.yaml")]


def test_edits_of_two_files_that_fit_together_are_taken_together(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    write(tmp_path / "2.yaml", after("b", "a"))
    sources = started(tmp_path)
    write(tmp_path / "1.yaml", jobs("renamed"))
    write(tmp_path / "2.yaml", after("b", "renamed"))
    assert ids(sources.read(NOW)) == ["renamed", "b"]


def test_new_bad_file_is_left_out(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    sources = started(tmp_path)
    write(tmp_path / "2.yaml", "jobs:\n  a: {run: y}\n")
    reading = sources.read(NOW)
    assert (ids(reading), reading.reverted, codes(reading)) == (["a"], (str(tmp_path / "2.yaml"),), ["E203"])


def test_vanished_named_file_is_a_problem_and_stays(tmp_path):
    file = write(tmp_path / "jobs.yaml", jobs("a"))
    sources = started(file)
    file.unlink()
    for later in (NOW, NOW + 100 * SECOND):
        reading = sources.read(later)
        assert (ids(reading), codes(reading), reading.reverted) == (["a"], ["E001"], (str(file),))
        assert not reading.pending_removal


def test_file_gone_from_its_folder_is_removed_after_the_delay(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    gone = write(tmp_path / "2.yaml", jobs("b"))
    sources = started(tmp_path)
    gone.unlink()
    first = sources.read(NOW)
    assert (ids(first), first.pending_removal, first.problems) == (["a", "b"], True, ())
    assert ids(sources.read(NOW + REMOVAL_DELAY - SECOND)) == ["a", "b"]
    last = sources.read(NOW + REMOVAL_DELAY)
    assert (ids(last), last.pending_removal) == (["a"], False)


def test_file_that_comes_back_in_time_was_never_gone(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    gone = write(tmp_path / "2.yaml", jobs("b"))
    sources = started(tmp_path)
    gone.unlink()
    assert sources.read(NOW).pending_removal
    write(gone, jobs("b"))
    assert not sources.read(NOW + SECOND).pending_removal
    gone.unlink()
    assert ids(sources.read(NOW + REMOVAL_DELAY)) == ["a", "b"]


def test_removal_that_breaks_another_file_is_refused_without_end_of_waiting(tmp_path):
    gone = write(tmp_path / "1.yaml", jobs("a"))
    write(tmp_path / "2.yaml", after("b", "a"))
    sources = started(tmp_path)
    gone.unlink()
    assert sources.read(NOW).pending_removal
    for later in (2 * SECOND, 60 * SECOND):
        reading = sources.read(NOW + later)
        assert (ids(reading), codes(reading), reading.pending_removal) == (["a", "b"], ["E201"], False)
        assert reading.reverted == (str(gone),)


@pytest.mark.parametrize("empty", [shutil.rmtree, lambda folder: (folder / "1.yaml").unlink()], ids=["gone", "empty"])
def test_folder_without_any_file_is_a_problem_and_its_files_stay(tmp_path, empty):
    folder = tmp_path / "jobs"
    folder.mkdir()
    write(folder / "1.yaml", jobs("a"))
    sources = started(folder)
    empty(folder)
    reading = sources.read(NOW + 100 * SECOND)
    assert (ids(reading), codes(reading)) == (["a"], ["E001"])


def test_path_that_the_system_refuses_to_look_at_is_a_problem(tmp_path):
    # As a folder without permission is, for those who are not root.
    path = tmp_path / ("x" * 300)
    reading = Sources([path], {}).read(NOW)
    assert reading.config is None
    assert "File name too long" in reading.problems[0].message


def test_first_start_takes_all_files_or_none(tmp_path):
    good = write(tmp_path / "good.yaml", jobs("a"))
    reading = Sources([good, tmp_path / "none.yaml"], {}).read(NOW)
    assert (reading.config, codes(reading)) == (None, ["E001"])
    write(tmp_path / "bad.yaml", "jobs: [\n")
    assert Sources([tmp_path], {}).read(NOW).config is None


def test_restart_on_a_bad_file_uses_the_stored_text(tmp_path):
    file = write(tmp_path / "jobs.yaml", "jobs: [\n")
    reading = Sources([file], {str(file): jobs("a"), "/elsewhere.yaml": jobs("z")}).read(NOW)
    assert (ids(reading), codes(reading)) == (["a"], ["E005"])


def test_stored_text_that_is_no_longer_valid_is_no_configuration(tmp_path):
    file = write(tmp_path / "jobs.yaml", "jobs: [\n")
    assert Sources([file], {str(file): "jobs: {a: {once: x}}"}).read(NOW).config is None


def test_file_that_changes_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    file = write(tmp_path / "jobs.yaml", "jobs:\n  a:")
    whole = reload.read_file

    def interrupted(path):
        content = whole(path)
        if content == b"jobs:\n  a:":
            write(file, jobs("a"))
        return content

    monkeypatch.setattr(reload, "read_file", interrupted)
    assert read_stable(file) == jobs("a").encode()


def test_file_that_never_rests_is_a_problem_for_now(tmp_path, monkeypatch):
    file = write(tmp_path / "jobs.yaml", "")
    whole = reload.read_file

    def growing(path):
        content = whole(path)
        with file.open("a") as more:
            more.write("# more\n")
        return content

    monkeypatch.setattr(reload, "read_file", growing)
    problem = read_stable(file)
    assert not isinstance(problem, bytes)
    assert problem.code == "E001"


@pytest.fixture
def read_files(monkeypatch):
    """Return the names of the files that were opened, in order; the list grows."""
    found = []
    whole = reload.read_file

    def spied(path):
        found.append(path.name)
        return whole(path)

    monkeypatch.setattr(reload, "read_file", spied)
    return found


@pytest.fixture
def later(monkeypatch):
    """Let files that were just written count as old."""
    let_files_be_old(monkeypatch)


def let_files_be_old(patch: pytest.MonkeyPatch) -> None:
    real = reload.time.time_ns
    patch.setattr(reload.time, "time_ns", lambda: real() + 10 * reload.STAMP_RACY_NS)


def test_file_with_the_stamp_of_its_last_good_text_is_not_read_again(tmp_path, read_files, later):
    for number in (1, 2, 3):
        write(tmp_path / f"{number}.yaml", jobs(f"a{number}"))
    sources = started(tmp_path)
    write(tmp_path / "2.yaml", jobs("another"))
    assert ids(sources.read(NOW, trust_stamps=True)) == ["a1", "another", "a3"]
    assert read_files == ["1.yaml", "2.yaml", "3.yaml", "2.yaml"]


def test_file_written_just_before_it_was_read_is_read_again(tmp_path, read_files):
    write(tmp_path / "1.yaml", jobs("a"))
    sources = started(tmp_path)
    sources.read(NOW, trust_stamps=True)
    assert read_files == ["1.yaml", "1.yaml"]


def test_file_whose_times_are_set_back_is_read_again(tmp_path, later):
    file = write(tmp_path / "1.yaml", jobs("a"))
    before = file.stat()
    sources = started(tmp_path)
    write(file, jobs("b"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    while file.stat().st_ctime_ns == before.st_ctime_ns:  # a file system's clock has steps of some milliseconds
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert ids(sources.read(NOW, trust_stamps=True)) == ["b"]


def test_file_that_is_not_good_is_read_again(tmp_path, read_files, later):
    write(tmp_path / "1.yaml", jobs("a"))
    bad = write(tmp_path / "2.yaml", jobs("b"))
    sources = started(tmp_path)
    write(bad, "jobs: [")
    for _ in range(2):
        reading = sources.read(NOW, trust_stamps=True)
        assert (ids(reading), reading.reverted) == (["a", "b"], (str(bad),))
    assert read_files == ["1.yaml", "2.yaml", "2.yaml", "2.yaml"]


EDITS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["write", "rename", "link", "remove", "spoil"])))


@settings(max_examples=60, deadline=None)
@given(EDITS)
def test_reading_what_changed_is_reading_all(edits):
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        let_files_be_old(patch)
        folder, beside = Path(name, "jobs"), Path(name, "beside")
        folder.mkdir()
        beside.mkdir()
        write(folder / "z.yaml", jobs("z"))
        quick, thorough, now = Sources([folder], {}), Sources([folder], {}), NOW
        for number, (file, how) in enumerate([("a", "write"), *edits]):
            # Lengths differ: while files count as old, two quick writes of one length would not be seen.
            edit(folder / f"{file}.yaml", how, beside / str(number), file + "x" * (number % 7))
            now += REMOVAL_DELAY
            assert quick.read(now, trust_stamps=True) == thorough.read(now)


def edit(file: Path, how: str, beside: Path, id: str) -> None:
    """Change a job file in one of the ways that editors and deployments do."""
    if how == "write":
        write(file, jobs(id))
    elif how == "rename":
        os.replace(write(beside, jobs(id)), file)
    elif how == "link":
        write(beside, jobs(id))
        file.unlink(missing_ok=True)
        file.symlink_to(beside)
    elif how == "remove":
        file.unlink(missing_ok=True)
    else:
        write(file, "jobs: [")


# ---------------------------------------------------------------- something changed


def rename_over(file: Path, text: str) -> None:
    write(file.with_suffix(".tmp"), text).replace(file)


def in_place(file: Path, text: str) -> None:
    write(file, text)


def swap_link(file: Path, text: str) -> None:
    target = write(file.parent / "other-target", text)
    link = file.parent / "new-link"
    link.symlink_to(target)
    link.replace(file)


def half_then_whole(file: Path, text: str) -> None:
    with file.open("w") as out:
        out.write(text[:-5])
        out.flush()
        os.fsync(out.fileno())
        out.write(text[-5:])


def delete_and_create(file: Path, text: str) -> None:
    file.unlink()
    write(file, text)


def swap_data_folder(file: Path, text: str) -> None:
    """Replace a file as Kubernetes does: the link `..data` is swapped, the file's own link is not touched."""
    mount = file.parent
    fresh = mount / "..2026_new"
    fresh.mkdir()
    write(fresh / file.name, text)
    (mount / "..data_tmp").symlink_to(fresh.name)
    (mount / "..data_tmp").replace(mount / "..data")


def plain(file: Path, text: str) -> None:
    write(file, text)


def linked(file: Path, text: str) -> None:
    (file.parent / "real").mkdir()
    file.symlink_to(write(file.parent / "real" / "target", text))


def mounted(file: Path, text: str) -> None:
    old = file.parent / "..2026_old"
    old.mkdir()
    write(old / file.name, text)
    (file.parent / "..data").symlink_to(old.name)
    file.symlink_to(Path("..data") / file.name)


def write_target(file: Path, text: str) -> None:
    write(file.resolve(), text)


WAYS = {
    "rename over": (plain, rename_over),
    "in place": (plain, in_place),
    "link swapped": (linked, swap_link),
    "link's target written": (linked, write_target),
    "data folder swapped": (mounted, swap_data_folder),
    "half, then whole": (plain, half_then_whole),
    "deleted and made anew": (plain, delete_and_create),
}


async def until(paths: list[Path], change, wanted: list[str]) -> None:
    """Change, then read at each signal until the wanted jobs are there."""
    sources = Sources(paths, {})
    async with aclosing(ConfigWatcher(paths).signals()) as signals, asyncio.timeout(PATIENCE_S):
        await anext(signals)
        sources.read(NOW)
        change()
        async for _ in signals:
            if ids(sources.read(NOW)) == wanted:
                return


@pytest.mark.parametrize("by_folder", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize(("prepare", "replace"), WAYS.values(), ids=WAYS.keys())
def test_replaced_file_is_noticed(tmp_path, prepare, replace, by_folder):
    folder = tmp_path / "conf"
    folder.mkdir()
    file = folder / "jobs.yaml"
    prepare(file, jobs("old"))
    paths = [folder] if by_folder else [file]
    asyncio.run(until(paths, lambda: replace(file, jobs("new", "newer")), ["new", "newer"]))


def test_two_swaps_of_the_data_folder_are_both_noticed(tmp_path):
    file = tmp_path / "jobs.yaml"
    mounted(file, jobs("old"))

    async def scenario():
        sources = Sources([file], {})
        async with aclosing(ConfigWatcher([file]).signals()) as signals, asyncio.timeout(PATIENCE_S):
            await anext(signals)
            swap_data_folder(file, jobs("second"))
            while ids(sources.read(NOW)) != ["second"]:
                await anext(signals)
            # The folder that now holds the text was not there when the watch began.
            await anext(signals)
            write(tmp_path / "..2026_new" / "jobs.yaml", jobs("third"))
            while ids(sources.read(NOW)) != ["third"]:
                await anext(signals)

    asyncio.run(scenario())


def test_new_and_removed_files_of_a_folder_are_noticed(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))

    async def scenario():
        async with aclosing(ConfigWatcher([tmp_path]).signals()) as signals, asyncio.timeout(PATIENCE_S):
            await anext(signals)
            write(tmp_path / "2.yaml", jobs("b"))
            await anext(signals)
            (tmp_path / "2.yaml").unlink()
            await anext(signals)

    asyncio.run(scenario())


@pytest.mark.parametrize("depth", [1, 2])
def test_folder_replaced_as_a_whole_is_noticed(tmp_path, depth):
    outer = tmp_path / "outer"
    folder = outer / "conf" if depth == 2 else outer
    folder.mkdir(parents=True)
    file = write(folder / "jobs.yaml", jobs("old"))

    def swap():
        outer.rename(tmp_path / "moved")
        folder.mkdir(parents=True)
        write(file, jobs("new"))

    asyncio.run(until([file], swap, ["new"]))


def test_file_that_is_not_there_yet_is_noticed(tmp_path):
    file = tmp_path / "later" / "jobs.yaml"

    async def scenario():
        async with aclosing(ConfigWatcher([file]).signals()) as signals, asyncio.timeout(PATIENCE_S):
            await anext(signals)
            file.parent.mkdir()
            write(file, jobs("a"))
            sources = Sources([file], {})
            while sources.read(NOW).config is None:
                await anext(signals)

    asyncio.run(scenario())


def test_other_files_of_the_folder_give_no_signal(tmp_path):
    file = write(tmp_path / "jobs.yaml", jobs("a"))

    async def scenario():
        async with aclosing(ConfigWatcher([file]).signals()) as signals, asyncio.timeout(PATIENCE_S):
            await anext(signals)
            write(tmp_path / "app.log", "x")
            coming = asyncio.ensure_future(anext(signals))
            done, _ = await asyncio.wait([coming], timeout=0.6)
            assert not done
            write(file, jobs("b"))
            await coming

    asyncio.run(scenario())


def test_endless_edits_do_not_hold_signals_back(tmp_path):
    file = write(tmp_path / "jobs.yaml", jobs("a"))
    over = threading.Event()

    def edit() -> None:
        number = 0
        while not over.wait(0.001):
            number += 1
            rename_over(file, jobs(f"j{number}"))

    async def scenario():
        async with aclosing(ConfigWatcher([file]).signals()) as signals, asyncio.timeout(PATIENCE_S):
            await anext(signals)
            editor = threading.Thread(target=edit)
            editor.start()
            try:
                for _ in range(3):
                    await anext(signals)
            finally:
                over.set()
                editor.join()

    asyncio.run(scenario())
