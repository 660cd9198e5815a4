"""The site: Sphinx over the same pages that are read in the repository. `./dev site` builds it.

Its navigation is the list in index.md, section by section, so a page is listed once and both ways of reading agree.
The reference is written from the program itself at each build, so it cannot be older than the program; the pages of
the tree's root come beside it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402  (found by the line above)

import dagsched  # noqa: E402

project = "dagsched"
author = "the dagsched authors"
release = version = dagsched.__version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
html_theme = "furo"
html_title = "dagsched"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"footer_icons": []}

ROOT_PAGES = {"CHANGELOG": "changes", "CONTRIBUTING": "contributing", "SECURITY": "reporting"}
ENTRY = re.compile(r"^- \[[^\]]+\]\((\w[\w-]*)\.md\)", re.MULTILINE)


def navigation(text: str, pages: set[str]) -> str:
    """Return tables of contents: one for each section of the list, for pages that it lacks, and for the reference."""
    parts = re.split(r"^\*\*(.+)\*\*.*$", text, flags=re.MULTILINE)[1:]
    tables = {caption: ENTRY.findall(body) for caption, body in zip(parts[::2], parts[1::2], strict=True)}
    tables["More"] = sorted(pages - {"index"} - {page for listed in tables.values() for page in listed})
    tables["Reference"] = [f"reference/{name}" for name in (*reference.PAGES, *ROOT_PAGES.values())]
    return "".join(toctree(caption, listed) for caption, listed in tables.items() if listed)


def toctree(caption: str, pages: list[str]) -> str:
    return "\n\n```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(pages) + "\n```\n"


def read(app: object, page: str, source: list[str]) -> None:
    # The word behind the language tells the tests what a block is; a highlighter knows no such language.
    text = re.sub(r"^( *```\w+) \S+$", r"\1", source[0], flags=re.MULTILINE)
    text = re.sub(r"^( *```)mermaid$", r"\1text", text, flags=re.MULTILINE)
    for name, here in ROOT_PAGES.items():
        text = text.replace(f"](../{name}.md", f"](reference/{here}.md")
    if page == "index":
        text += navigation(text, {file.stem for file in HERE.glob("*.md")})
    source[0] = text


def write_reference(app: object) -> None:
    (HERE / "reference").mkdir(exist_ok=True)
    pages = {name: written() for name, written in reference.PAGES.items()}
    for name, here in ROOT_PAGES.items():
        text = (HERE.parent / f"{name}.md").read_text().replace("](docs/", "](../")
        for other, there in ROOT_PAGES.items():
            text = text.replace(f"]({other}.md", f"]({there}.md")
        pages[here] = text
    for name, text in pages.items():
        (HERE / "reference" / f"{name}.md").write_text(text)


def setup(app: object) -> None:
    app.connect("builder-inited", write_reference)  # type: ignore[attr-defined]
    app.connect("source-read", read)  # type: ignore[attr-defined]
