"""What a request to a daemon says: each part read, or refused in words."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dagsched.errors import Refused
from dagsched.model import Again, parse_instant

EVENT_NAME_MAX = 128
EVENT_ID_MAX = 256
# A run is told them in one environment variable, which the kernel lets have 128 KiB.
EVENT_DATA_BYTES_MAX = 64 * 1024
_EVENT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:-]*")


def digest_of(body: Mapping[str, Any]) -> str:
    """Return what stands for a question, without who asks."""
    said = {key: value for key, value in body.items() if key not in ("by", "key") and value not in (None, False, {})}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def in_words(verb: str, body: Mapping[str, Any]) -> str:
    """Return what is asked for, without the values of parameters: they may be nobody else's business."""
    told = {key: value for key, value in body.items() if key not in ("by", "key", "text", "params", "data") and value}
    subject = " ".join(f"{key}={value}" for key, value in told.items())
    return f"{verb} {subject}".rstrip()


def text_of(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(f"this verb needs {key!r}")
    # A lone surrogate is text in JSON and in no file: no job or run can have it in its name.
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Refused(f"{key!r} is no text: {value!r}")
    return value


def flag_of(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise Refused(f"{key!r} is true or false")
    return value


def number_of(body: Mapping[str, Any], key: str) -> int:
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 1 << 31:
        raise Refused(f"{key!r} is a whole number of at least 1")
    return value


def instant_of(body: Mapping[str, Any], key: str) -> datetime:
    try:
        return parse_instant(text_of(body, key))
    except ValueError as error:
        raise Refused(f"{key!r} is no instant: {error}") from None


def again_of(body: Mapping[str, Any]) -> Again:
    try:
        return Again(body.get("again", "gaps"))
    except ValueError:
        raise Refused(f"'again' is one of {', '.join(Again)}") from None


def checked_event(body: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
    """Return name, id ("" for none) and data of an event to be emitted; raises Refused when it cannot be one."""
    name, id, data = text_of(body, "event"), body.get("id", ""), body.get("data") or {}
    if len(name) > EVENT_NAME_MAX or not _EVENT_NAME.fullmatch(name):
        raise Refused(
            f"{name[:60]!r} is no name of an event: letters, digits and _ . / : - are, at most {EVENT_NAME_MAX} of them"
        )
    if not isinstance(id, str) or len(id) > EVENT_ID_MAX:
        raise Refused(f"the id of an event is text of at most {EVENT_ID_MAX} characters")
    if not isinstance(data, Mapping):
        raise Refused("the data of an event are an object: a value by name")
    try:
        size = len(json.dumps(data, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        raise Refused("the data of the event are no text") from None
    if size > EVENT_DATA_BYTES_MAX:
        most = f"at most {EVENT_DATA_BYTES_MAX:,} reach a run, so say where they are"
        raise Refused(f"the data are {size:,} bytes as JSON; {most}")
    return name, id, data
