"""The builds with a known defect are what they say, and the quickest of them are found; `--broken all` hunts all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.injecting import LONG
from tests.torture import broken
from tests.torture.round import play
from tests.torture.rounds import ROOT
from tests.torture.slants import SLANTS

SECONDS = 3
QUICKEST = ("double-start", "failure-taken-for-success", "gaps-in-the-log")


@pytest.mark.parametrize("build", broken.BUILDS, ids=lambda build: build.name)
def test_every_patch_fits_and_leaves_a_program(build: broken.Build):
    for file, text in broken.patched(build).items():
        if file.endswith(".py"):
            compile(text, file, "exec")


def test_every_promise_has_a_build_that_breaks_it():
    assert {build.promise for build in broken.BUILDS} == {f"P{number}" for number in range(1, 16)}


def test_every_slant_is_there_for_a_build():
    assert {build.slant for build in broken.BUILDS} - {""} == set(SLANTS)


def test_the_page_tells_of_every_build():
    page = (ROOT / "docs" / "torture.md").read_text()
    assert [build.name for build in broken.BUILDS if f"| `{build.name}` | {build.promise} |" not in page] == []


def test_a_patch_whose_place_has_moved_is_refused():
    patch = broken.Patch("model.py", "a line that nobody has written", "")
    with pytest.raises(ValueError, match=r"0 places in model\.py"):
        broken.patched(broken.Build("lost", "P1", (patch,)))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left of a run is looked for in /proc")
def test_the_quickest_defects_are_found_by_the_promise_they_break(tmp_path: Path):
    builds = [broken.build_named(name) for name in QUICKEST]
    hunts = broken.hunt(builds, tmp_path, tries=1, jobs=len(builds), seconds=SECONDS)
    assert [hunt.line() for hunt in hunts if not hunt.is_caught] == []


@LONG
def test_every_defect_is_found_by_the_promise_it_breaks_within_few_rounds(tmp_path: Path):
    hunts = broken.hunt(broken.BUILDS, tmp_path, tries=broken.TRIES, jobs=2)
    found = {hunt.build.name for hunt in hunts if hunt.is_caught}
    assert [build.name for build in broken.BUILDS if build.name not in found] == []


@LONG
@pytest.mark.parametrize("slant", SLANTS)
def test_the_honest_program_comes_through_a_slanted_round(slant: str, tmp_path: Path):
    favours = next(build.favours for build in broken.BUILDS if build.slant == slant)
    result = play(1, broken.SECONDS, tmp_path, slant=SLANTS[slant], favours=favours)
    assert [words for _, words in result.violations] == []
