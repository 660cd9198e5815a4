"""What Python itself reads in the files: functions and imports, from the syntax tree and not from the text."""

from __future__ import annotations

import ast
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROWS_MAX = 12
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> dict[str, int]:
    """Write the longest functions to functions.tsv; return how many there are and how many have a docstring."""
    found: list[tuple[int, str, str]] = []
    explained = 0
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                found.append(((node.end_lineno or node.lineno) - node.lineno + 1, node.name, f"{name}:{node.lineno}"))
                explained += ast.get_docstring(node, clean=False) is not None
    found.sort(key=lambda row: (-row[0], row[2]))
    write("functions.tsv", found[:ROWS_MAX])
    return {"functions": len(found), "explained": explained}


def imports() -> dict[str, int]:
    """Write the modules that most files import to imports.tsv; return how many different ones are imported."""
    importers: Counter[str] = Counter()
    for _, tree in trees():
        importers.update(imported_by(tree))
    ranked = sorted(importers.items(), key=lambda item: (-item[1], item[0]))
    write("imports.tsv", [(count, name) for name, count in ranked[:ROWS_MAX]])
    return {"imported": len(importers)}


def imported_by(tree: ast.AST) -> set[str]:
    """Return the top-level names that a file imports; relative imports stay inside their package and do not count."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names


def trees() -> Iterator[tuple[str, ast.AST]]:
    """Yield (path below the tree, syntax tree) of each settled file; one that does not parse is named and left out."""
    root, out = Path(os.environ["TREE"]), Path(os.environ["OUT"])
    for line in (out / "files.txt").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        name = line.removeprefix("./")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what an old file would be warned of is its authors' business
            try:
                tree = ast.parse((root / name).read_bytes())
            except (SyntaxError, ValueError) as error:
                print(f"left out {name}: {error}")
                continue
        yield name, tree


def write(name: str, rows: list[tuple[int, str, str]] | list[tuple[int, str]]) -> None:
    """Write rows as tab-separated text to the folder of this survey."""
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (Path(os.environ["OUT"]) / name).write_text(text, encoding="utf-8", errors="surrogateescape")
