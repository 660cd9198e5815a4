"""Of several files the bad ones stay as they last were and the others' edits count, whoever an error names."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.config import load_texts
from dagsched.reload import REMOVAL_DELAY, Sources
from tests.test_reload import NOW, after, codes, ids, jobs, started, write


def reading_after(sources: Sources, **texts: str):
    """Write the files beside the first one of the sources, and read."""
    folder = Path(next(iter(sources.read(NOW).config.files))).parent
    for name, text in texts.items():
        write(folder / f"{name}.yaml", text)
    return sources.read(NOW)


def names(reading) -> list[str]:
    return [Path(file).stem for file in reading.reverted]


def test_edit_that_breaks_an_unchanged_file_holds_back_no_other_edit(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    write(tmp_path / "2.yaml", after("b", "a"))
    write(tmp_path / "3.yaml", jobs("c"))
    write(tmp_path / "4.yaml", jobs("d"))
    reading = reading_after(
        started(tmp_path), **{"1": jobs("renamed"), "3": jobs("c", "new"), "4": after("d", "new"), "5": jobs("e")}
    )
    assert (ids(reading), names(reading)) == (["a", "b", "c", "new", "d", "e"], ["1"])


def test_named_file_is_not_put_back_for_what_another_one_did(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    write(tmp_path / "2.yaml", after("b", "a"))
    sources = started(tmp_path)
    reading = reading_after(sources, **{"1": jobs("renamed"), "2": after("b", "a") + "  c: {run: x}\n"})
    assert (ids(reading), names(reading)) == (["a", "b", "c"], ["1"])


def test_rename_over_two_files_comes_into_force_beside_a_bad_file(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    write(tmp_path / "2.yaml", after("b", "a"))
    write(tmp_path / "3.yaml", jobs("c"))
    write(tmp_path / "4.yaml", after("d", "c"))
    edits = {"1": jobs("renamed"), "2": after("b", "renamed"), "3": jobs("x")}
    reading = reading_after(started(tmp_path), **edits)
    assert (ids(reading), names(reading)) == (["renamed", "b", "c", "d"], ["3"])


def test_two_bad_files_are_both_held_back_and_the_third_is_not(tmp_path):
    for name in "123":
        write(tmp_path / f"{name}.yaml", jobs(f"j{name}"))
    reading = reading_after(
        started(tmp_path), **{"1": "jobs: [\n", "2": "jobs: {j2: {rum: x}}\n", "3": jobs("j3", "new")}
    )
    assert (ids(reading), names(reading)) == (["j1", "j2", "j3", "new"], ["1", "2"])


def test_new_file_with_the_id_of_an_old_one_is_left_out_whatever_their_names(tmp_path):
    write(tmp_path / "2.yaml", jobs("a"))
    write(tmp_path / "3.yaml", jobs("c"))
    reading = reading_after(started(tmp_path), **{"1": jobs("a"), "3": jobs("c", "new"), "4": jobs("c")})
    assert (ids(reading), names(reading)) == (["a", "c", "new"], ["1", "4"])


def test_job_that_moves_to_another_file_is_in_force_at_once_and_held_back_when_only_copied(tmp_path):
    write(tmp_path / "1.yaml", jobs("a", "b"))
    write(tmp_path / "2.yaml", jobs("c"))
    sources = started(tmp_path)
    copied = reading_after(sources, **{"2": jobs("c", "b")})
    assert (ids(copied), names(copied), codes(copied)) == (["a", "b", "c"], ["2"], ["E203"])
    moved = reading_after(sources, **{"1": jobs("a")})
    assert (ids(moved), names(moved)) == (["a", "c", "b"], [])


def test_folder_and_named_files_are_one_namespace(tmp_path):
    folder = tmp_path / "jobs.d"
    folder.mkdir()
    write(folder / "1.yaml", jobs("a"))
    named = write(tmp_path / "main.yaml", after("b", "a"))
    sources = started(named, folder)
    write(folder / "2.yaml", jobs("c"))
    write(named, after("b", "a", "c"))
    assert ids(sources.read(NOW)) == ["a", "c", "b"]
    write(folder / "1.yaml", "jobs: [")
    write(folder / "2.yaml", jobs("c", "d"))
    reading = sources.read(NOW)
    assert (ids(reading), names(reading)) == (["a", "c", "d", "b"], ["1"])


def test_named_file_of_a_folder_counts_once(tmp_path):
    file = write(tmp_path / "1.yaml", jobs("a"))
    assert ids(started(tmp_path, file).read(NOW)) == ["a"]


def test_bad_file_that_is_removed_takes_its_jobs_with_it(tmp_path):
    write(tmp_path / "1.yaml", jobs("a"))
    bad = write(tmp_path / "2.yaml", jobs("b"))
    sources = started(tmp_path)
    write(bad, "jobs: [")
    assert ids(sources.read(NOW)) == ["a", "b"]
    bad.unlink()
    assert ids(sources.read(NOW)) == ["a", "b"]
    reading = sources.read(NOW + REMOVAL_DELAY)
    assert (ids(reading), reading.problems, reading.reverted) == (["a"], (), ())


# ---------------------------------------------------------------- templates over several files

TEMPLATE = "templates:\n  t: {params: {p: {type: string, default: p}}, run: [x, '${{ p }}'], timeout: 1h}\n"


def extending(*ids: str, more: str = "") -> str:
    return "jobs:\n" + "".join(f"  {id}: {{extends: t{more}}}\n" for id in ids)


def timeouts(reading) -> list[int]:
    return [int(job.timeout.total_seconds()) for job in reading.config.jobs.values()]


def with_template(tmp_path: Path) -> Sources:
    write(tmp_path / "0.yaml", TEMPLATE)
    write(tmp_path / "1.yaml", extending("a"))
    write(tmp_path / "2.yaml", extending("b"))
    return started(tmp_path)


def test_edited_template_changes_the_jobs_of_all_files(tmp_path):
    sources = with_template(tmp_path)
    reading = reading_after(sources, **{"0": TEMPLATE.replace("1h", "2h")})
    assert (timeouts(reading), names(reading)) == ([7200, 7200], [])


def test_bad_template_holds_back_its_own_file_and_no_edit_of_those_that_use_it(tmp_path):
    sources = with_template(tmp_path)
    reading = reading_after(sources, **{"0": TEMPLATE.replace("1h", "1"), "1": extending("a", "new")})
    assert (ids(reading), names(reading)) == (["a", "new", "b"], ["0"])
    assert timeouts(reading) == [3600] * 3
    assert [problem.message for problem in reading.problems] == ["1 is no length of time (job 'a' and 2 more)"]


@pytest.mark.parametrize("text", ["templates: [\n", "jobs: {}\n", "templates: {t: {rum: x}}\n", ""])
def test_lost_template_holds_back_its_own_file_only(tmp_path, text):
    sources = with_template(tmp_path)
    reading = reading_after(sources, **{"0": text, "2": extending("b", "c")})
    assert (ids(reading), names(reading)) == (["a", "b", "c"], ["0"])


def test_bad_use_of_a_template_holds_back_the_file_that_uses_it_though_the_error_stands_in_the_template(tmp_path):
    sources = with_template(tmp_path)
    edits = {"1": extending("a", more=", retry: {jitter: 1}"), "2": extending("b", "c")}
    reading = reading_after(sources, **edits)
    assert (ids(reading), names(reading)) == (["a", "b", "c"], ["1"])
    write(
        tmp_path / "0.yaml", TEMPLATE.replace("timeout: 1h", "timeout: '${{ p }}'").replace("default: p", "default: 1h")
    )
    write(tmp_path / "1.yaml", extending("a", more=", values: {p: never}"))
    reading = sources.read(NOW)
    assert (ids(reading), names(reading)) == (["a", "b", "c"], ["1"])
    assert [Path(problem.file).stem for problem in reading.problems if problem.is_error] == ["0"]


def test_template_with_a_new_parameter_that_nobody_gives_is_held_back(tmp_path):
    sources = with_template(tmp_path)
    text = TEMPLATE.replace("params: {", "params: {q: {type: string}, ").replace("run:", "schedule: '@daily', run:")
    reading = reading_after(sources, **{"0": text, "2": extending("b", "c")})
    assert (ids(reading), names(reading)) == (["a", "b", "c"], ["0"])
    assert "E406" in codes(reading)


def test_template_may_move_from_file_to_file(tmp_path):
    sources = with_template(tmp_path)
    reading = reading_after(sources, **{"0": "templates: {}\n", "2": TEMPLATE + extending("b")})
    assert (ids(reading), names(reading), timeouts(reading)) == (["a", "b"], [], [3600, 3600])


def test_matrix_that_loses_a_member_somebody_waits_for_is_held_back(tmp_path):
    matrix = "jobs:\n  m: {run: x, matrix: {r: [eu, us]}}\n"
    write(tmp_path / "1.yaml", matrix)
    write(tmp_path / "2.yaml", after("all", "m"))
    write(tmp_path / "3.yaml", after("one", "m.us"))
    sources = started(tmp_path)
    reading = reading_after(sources, **{"1": matrix.replace("eu, us", "eu")})
    assert (ids(reading), names(reading)) == (["m.eu", "m.us", "all", "one"], ["1"])
    reading = reading_after(sources, **{"1": matrix.replace("us", "us, ap")})
    assert [edge.job for edge in reading.config.jobs["all"].depends_on] == ["m.eu", "m.us", "m.ap"]


# ---------------------------------------------------------------- whatever the edits

NAMES = ("0", "1", "2", "3")
GOOD = [jobs(), jobs("a"), jobs("b"), after("b", "a"), after("c", "m"), TEMPLATE, extending("d"), "jobs: [", "",
        "jobs: {m: {run: x, matrix: {r: [eu, us]}}}\n", TEMPLATE + extending("e"), TEMPLATE.replace("1h", "1"),
        after("f", "m.us"), extending("g", more=", values: {p: 1}"), extending("h", more=", nonsense: 1")]  # fmt: skip
ROUND = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(GOOD), max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROUND, min_size=1, max_size=5))
def test_each_file_is_in_force_as_it_is_or_as_it_last_was_good_and_all_are_if_they_can_be(rounds):
    with TemporaryDirectory() as name:
        folder = Path(name)
        texts = {file: jobs() for file in NAMES}
        for file, text in texts.items():
            write(folder / f"{file}.yaml", text)
        sources, before = started(folder), dict(texts)
        for edits in rounds:
            texts |= edits
            for file, text in edits.items():
                write(folder / f"{file}.yaml", text)
            reading = sources.read(NOW)
            assert reading.config is not None
            found = {Path(file).stem: text for file, text in reading.config.files.items()}
            assert found == {file: before[file] if file in names(reading) else texts[file] for file in NAMES}
            whole = load_texts({str(folder / f"{file}.yaml"): text for file, text in texts.items()}, NOW)
            assert (whole.config is None) == bool(reading.reverted)
            before = found
