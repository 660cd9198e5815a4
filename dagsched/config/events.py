"""From bytes to libyaml's events: what is no text or no YAML is refused here.

libyaml scans as events are asked for, so nothing behind a refused place is ever looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from yaml import MarkedYAMLError
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.reader import ReaderError

from dagsched.config.problem import Problem
from dagsched.config.source import Source

FILE_BYTES_MAX = 32 * 1024 * 1024
TAG_DIRECTIVES_MAX = 16


class Refusal(Exception):
    """Reading cannot go on; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.message)


def decoded(name: str, content: bytes | str) -> tuple[Source, bytes, Problem | None]:
    """Return the text without a byte order mark, and as UTF-8."""
    size = len(content)
    if size > FILE_BYTES_MAX:
        return _refused(
            name,
            "E002",
            f"the file has {size:,} bytes, more than {FILE_BYTES_MAX:,}",
            "a job file is read as a whole",
            "split it into several files in one folder",
        )
    try:
        if isinstance(content, str):
            text = content.removeprefix("\ufeff")
            return Source(name, text), text.encode(), None
        body = content.removeprefix(b"\xef\xbb\xbf")
        return Source(name, body.decode()), body, None
    except UnicodeEncodeError as error:
        return _not_text(name, "half a surrogate pair", error.start, str(content))
    except UnicodeDecodeError as error:
        assert isinstance(content, bytes), "text is not decoded"
        what = _other_encoding(body) or f"byte 0x{body[error.start]:02x}"
        return _not_text(name, what, len(body[: error.start].decode()), body.decode(errors="replace"))


def _not_text(name: str, what: str, index: int, text: str) -> tuple[Source, bytes, Problem]:
    source = Source(name, text)
    why = "job files are UTF-8, the one encoding every editor and every machine reads alike"
    problem = source.problem(
        "E003",
        (index, index + 1),
        f"the file is not UTF-8 text: {what}",
        why,
        "save it as UTF-8, e.g. iconv -f latin1 -t utf-8",
    )
    return source, b"", problem


def _other_encoding(body: bytes) -> str:
    return "it looks like UTF-16" if body.startswith((b"\xff\xfe", b"\xfe\xff")) else ""


def _refused(name: str, code: str, message: str, why: str, fix: str) -> tuple[Source, bytes, Problem]:
    source = Source(name, "")
    return source, b"", source.problem(code, (0, 0), message, why, fix)


def scan(source: Source, encoded: bytes, take: Callable[[Iterable[Any]], None]) -> None:
    """Give `take` libyaml's events, scanned as it asks for them; raises Refusal where the text is not YAML."""
    _few_directives(source, encoded)
    parser = CParser(encoded)
    try:
        take(iter(parser.get_event, None))
    except ReaderError as error:
        raise Refusal(_bad_character(source, encoded, error)) from None
    except MarkedYAMLError as error:
        raise Refusal(_syntax_error(source, error)) from None
    finally:
        parser.dispose()


def _few_directives(source: Source, encoded: bytes) -> None:
    # libyaml compares each %TAG directive with all before it.
    if encoded.count(b"%TAG") > TAG_DIRECTIVES_MAX:
        index = source.text.index("%TAG")
        raise Refusal(
            source.problem(
                "E010",
                (index, index + 4),
                "too many %TAG directives",
                "tags are not used in job files",
                "remove them",
            )
        )


def _bad_character(source: Source, encoded: bytes, error: Any) -> Problem:
    index = len(encoded[: error.position].decode(errors="replace"))
    code_point = ord(source.text[index]) if index < len(source.text) else 0
    name = "NUL" if code_point == 0 else f"U+{code_point:04X}"
    return source.problem(
        "E004",
        (index, index + 1),
        f"the control character {name} is not allowed",
        "YAML allows no control characters but tab and line ends",
        "remove it; inside double quotes write it as an escape such as \\x07",
    )


def _syntax_error(source: Source, error: MarkedYAMLError) -> Problem:
    mark: Any = error.problem_mark or error.context_mark
    index = min(mark.index, len(source.text)) if mark is not None else 0
    message = f"this is not YAML: {error.problem or 'it cannot be parsed'}"
    if error.context:
        opened: Any = error.context_mark
        line, column = source.place(min(opened.index, len(source.text))) if opened is not None else (1, 1)
        message += f", {error.context} (line {line}, column {column})"
    return source.problem(
        "E005", (index, index + 1), message, _why(source.text, index, error), _fix(source.text, index)
    )


def _why(text: str, index: int, error: MarkedYAMLError) -> str:
    if text[index : index + 1] == "\t":
        return "YAML is not indented with tabs"
    if text[index - 1 : index + 2] == "${{":
        return "inside [ ] and { } a plain text cannot hold a placeholder: its braces would be a mapping"
    if "mapping values are not allowed" in (error.problem or ""):
        return "a ': ' inside a plain value starts a new key"
    return "the file must be YAML before anything in it can be read"


def _fix(text: str, index: int) -> str:
    if text[index - 1 : index + 2] == "${{":
        return 'quote the text: "${{ name }}"'
    if text[index : index + 1] == "\t":
        return "replace the tab by spaces"
    if text[index : index + 1] in ("@", "`", "%"):
        return f"quote the value: a plain one cannot start with {text[index]}"
    return "check indentation, brackets and quotes on this line and the one before; quote values with ': ' or ' #'"
