"""Job files that no one should have to fear, and what they are to be refused with."""

from __future__ import annotations

GOOD = "jobs:\n  beat: {schedule: {every: 1s}, run: 'true'}\n"


def bomb() -> str:
    """Return a small file whose aliases stand for billions of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 12)]
    return "\n".join(lines) + "\n"


ENDLESS = "100,000 jobs of nothing"

HOSTILE: dict[str, tuple[bytes, str]] = {
    "halved": (GOOD.encode()[: len(GOOD) // 2 + 6], "E005"),
    "garbage": (bytes(range(128, 256)) * 40, "E003"),
    "a bomb of aliases": (bomb().encode(), "E008"),
    "30,000 brackets": (b"[" * 30_000, "E006"),
    "30,000 open keys": (b"? " * 30_000, "E014"),
    "a NUL": (GOOD.encode() + b"# \0\n", "E004"),
    "latin-1": (GOOD.encode() + "# caf\xe9\n".encode("latin-1"), "E003"),
    "UTF-16": (GOOD.encode("utf-16"), "E003"),
    "empty": (b"", "E012"),
    "100 MB": (GOOD.encode() + b"# padding of a line\n" * 5_300_000, "E002"),
    ENDLESS: (b"jobs:\n" + b"".join(b" k%d: {}\n" % number for number in range(100_000)), "E108"),
}
