"""Files as bytes → text, or one sentence why not; nothing here opens them."""

from __future__ import annotations

SIZE_MAX = 8_000_000
"""Bytes; a crontab, unit or DAG beyond is a mistake."""
LINES_MAX = 10_000
"""More jobs than anybody reads the verdicts of."""


class NotText(Exception):
    """Bytes that no reader should look at; the text says why."""


def text_of(content: bytes) -> tuple[str, str]:
    """Return the text, and a remark on how it was read ("" if that needs none); raises NotText."""
    if len(content) > SIZE_MAX:
        raise NotText(f"it has {len(content)} bytes and more; at most {SIZE_MAX} are read")
    if (lines := content.count(b"\n")) > LINES_MAX:
        raise NotText(f"it has {lines} lines; at most {LINES_MAX} are read")
    if b"\0" in content:
        raise NotText(f"it is binary: a NUL stands at byte {content.index(0)}")
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    try:
        return content.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return content.decode("latin-1"), f"line {line} is not UTF-8; the file was read as Latin-1"
