"""Small values of Dagu files: variables, parameters, lengths, retry policies."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from dagsched.importers.commands import length_text
from dagsched.importers.dagu.script import commands_apart
from dagsched.importers.dagu.words import canonical, text_of

_BACKTICKS = re.compile(r"`[^`]*`")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def pairs_of(value: Any) -> Iterator[tuple[str, str | None]]:
    """Yield (name, value) of `env` in any of its forms; the value is None for what is no assignment."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for name, each in item.items():
                yield name, None if isinstance(each, dict | list) else text_of(each)
        elif isinstance(item, str) and "=" in item:
            name, _, text = item.partition("=")
            yield name.strip(), text
        elif item is not None:
            yield str(item)[:40], None


def params_of(value: Any) -> Iterator[tuple[str, str | None]]:
    """Yield (name, default) of parameters in any of their forms: "" names one by its place, None has no default."""
    if isinstance(value, str):
        yield from _params_of_text(value)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and "name" in item:
                default = item.get("default", item.get("eval"))
                yield str(item["name"]), None if default is None else text_of(default)
            elif isinstance(item, dict):
                yield from params_of(item)
            else:
                yield from _params_of_text(text_of(item))
    elif isinstance(value, dict) and isinstance(value.get("properties"), dict):
        for name, each in value["properties"].items():
            default = each.get("default") if isinstance(each, dict) else None
            yield name, None if default is None else text_of(default)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name, None if isinstance(each, dict | list) else text_of(each)


def _params_of_text(text: str) -> Iterator[tuple[str, str | None]]:
    for word in _words(text):
        name, equals, value = word.partition("=")
        if equals and VARIABLE.fullmatch(name):
            yield name, value
        else:
            yield "", word


def _words(text: str) -> list[str]:
    """Return the words of a line; what is in backticks or `$( )` is a command, and its blanks part nothing."""
    commands: list[str] = []

    def aside(command: str) -> str:
        commands.append(command)
        return f"\0{len(commands) - 1}\0"

    parts = commands_apart(text.replace("\0", ""))
    kept = "".join(
        aside(part) if is_command else _BACKTICKS.sub(lambda match: aside(match[0]), part) for is_command, part in parts
    )
    try:
        words = shlex.split(kept)
    except ValueError:
        words = kept.split()
    return [re.sub("\0(\\d+)\0", lambda match: commands[int(match[1])], word) for word in words]


def seconds_text(value: Any) -> str | None:
    """Return a number of seconds as a length, None for what is no whole number above 0."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9
    return length_text(value) if whole else None


def retry_of(value: Any) -> tuple[dict[str, Any] | None, str]:
    """Return `retry` for a retry policy, or None, and what is to be said about it."""
    given = {canonical(key): each for key, each in value.items()} if isinstance(value, dict) else {}
    limit, interval = given.get("limit", 0), given.get("interval_sec", 0)
    limit = int(limit) if isinstance(limit, str) and re.fullmatch(r"\d{1,4}", limit) else limit
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit < 10_000:
        return None, f"its limit, {limit!r}, is no number"
    if limit == 0:
        return None, ""
    retry: dict[str, Any] = {"max_attempts": limit + 1}
    delay = seconds_text(interval)
    if delay is None and text_of(interval) not in ("0", ""):
        return None, f"its interval, {interval!r}, is no number of seconds"
    retry["delay"] = delay or "0s"
    growth = given.get("backoff")
    growth = 2 if growth is True else growth
    longest = int(interval or 0)
    if isinstance(growth, int | float) and growth > 1:
        retry["backoff"] = "exponential"
        if growth != 2:
            retry["multiplier"] = growth
        longest = int(min(longest * float(growth) ** min(limit - 1, 60), 10**9))
    if cap := seconds_text(given.get("max_interval_sec")):
        retry["max_delay"] = cap
    elif longest > 3600:
        retry["max_delay"] = length_text(longest)
    codes = given.get("exit_code")
    codes = [codes] if isinstance(codes, int) else codes
    if codes:
        fitting = (
            [code for code in codes if isinstance(code, int) and 0 < code < 256] if isinstance(codes, list) else []
        )
        if not fitting:
            return None, f"none of its exit codes, {codes!r}, can be one: they go from 1 to 255"
        retry["on"] = fitting
    odd = sorted(given.keys() - {"limit", "interval_sec", "backoff", "max_interval_sec", "exit_code"})
    return retry, f"{', '.join(odd)} in it is not understood" if odd else ""


def repeated(value: Any) -> dict[str, Any] | None:
    """Return `retry` for a repeat policy that only waits for a good exit code, None for any other."""
    given = {canonical(key): each for key, each in value.items()} if isinstance(value, dict) else {}
    codes = given.get("exit_code")
    codes = [codes] if isinstance(codes, int) else codes
    mode, limit = given.get("repeat"), given.get("limit", 10_000)
    waits = (mode == "until" and codes == [0]) or (mode in ("while", True, None) and codes and 0 not in codes)
    if not waits or given.get("condition") or not isinstance(limit, int) or not 1 <= limit <= 10_000:
        return None
    retry, _ = retry_of(
        {
            "limit": limit - 1,
            "interval_sec": given.get("interval_sec", 0),
            "backoff": given.get("backoff"),
            "max_interval_sec": given.get("max_interval_sec"),
            "exit_code": None if codes == [0] else codes,
        }
    )
    return retry


def continues(value: Any) -> tuple[bool, bool, list[int], str]:
    """Return (after a failure, after a skip, exit codes that are none, what has no place) of `continue_on`."""
    if isinstance(value, str):
        return value.strip() == "failed", value.strip() == "skipped", [], ""
    given = {canonical(key): each for key, each in value.items()} if isinstance(value, dict) else {}
    codes = given.get("exit_code", [])
    listed = codes if isinstance(codes, list) else [codes]
    numbers = [int(code) for code in listed if isinstance(code, int) or re.fullmatch(r"\d{1,3}", str(code))]
    odd = sorted(given.keys() - {"failure", "failed", "skipped", "exit_code", "mark_success"})
    fails = given.get("failure", given.get("failed")) is True
    return fails, given.get("skipped") is True, [] if fails else numbers, ", ".join(odd)
