"""The time lines on the page about joins are what the engine does with the files beside them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tests.pages.blocks import blocks_of
from tests.pages.timelines import PAGE, SCENES, Scene, drawn, lived


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.file)
def test_a_picture_is_as_the_engine_draws_it_today(scene: Scene):
    assert scene.image.read_text(encoding="utf-8") == drawn(scene), "run: python -m tests.pages.timelines"
    assert f"](images/{scene.image.name})" in PAGE.read_text(encoding="utf-8")


def test_each_file_of_the_page_has_a_picture():
    assert [block.name for block in blocks_of(PAGE) if block.language == "yaml"] == [scene.file for scene in SCENES]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.file)
def test_a_picture_can_be_read_in_the_dark_and_by_who_cannot_see_it(scene: Scene):
    text = drawn(scene)
    assert "prefers-color-scheme:dark" in text
    said = ET.fromstring(text).findtext("{http://www.w3.org/2000/svg}desc") or ""
    rows = [line for line in lived(scene).history() if line.state != "running"]
    assert [row for row in rows if f"{row.job} {row.tick:%a %H:%M}: {row.state}" not in said] == []


def test_a_picture_loads_nothing_from_elsewhere():
    for scene in SCENES:
        assert not re.search(r'(?:href|src)="|url\((?!#)', drawn(scene))
