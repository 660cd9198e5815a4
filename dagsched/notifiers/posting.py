"""One POST, and what its answer means for another try: shared by the notifiers that speak HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

import dagsched
from dagsched.errors import NotifierError
from dagsched.notifiers.guard import AddressDenied, Transport

ANSWER_BYTES_MAX = 16 * 1024
SHOWN_CHARACTERS_MAX = 200
RETRY_AFTER_S_MAX = 3600.0
# What says "later": all else of 3xx and 4xx will be the same the next time.
# How long all of it may take is said by who asks for it; no redirect is followed unless somebody asks.
_PATIENT: dict[str, Any] = {"timeout": None, "follow_redirects": False}
_LATER = frozenset({408, 409, 425, 429})


async def post(url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool) -> None:
    """Send the body; returns when the answer is 2xx, raises NotifierError else."""
    told = {"User-Agent": f"dagsched/{dagsched.__version__}", **headers}
    try:
        async with (
            httpx.AsyncClient(transport=Transport(allow_private=allow_private), trust_env=False, **_PATIENT) as client,
            client.stream("POST", url, content=body, headers=told) as response,
        ):
            answer = await _start_of(response)
    except AddressDenied as error:
        raise NotifierError(str(error), is_final=True) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NotifierError(f"the URL cannot be used: {error}", is_final=True) from None
    except httpx.HTTPError as error:
        raise NotifierError(f"no answer: {error}") from None
    judge(response, answer)


async def _start_of(response: httpx.Response) -> str:
    kept = bytearray()
    async for part in response.aiter_bytes():
        kept += part
        if len(kept) >= ANSWER_BYTES_MAX:
            break
    return bytes(kept[:ANSWER_BYTES_MAX]).decode(errors="replace")


def judge(response: httpx.Response, answer: str) -> None:
    """Raise NotifierError unless the answer is a success."""
    status = response.status_code
    if 200 <= status <= 299:
        return
    words = " ".join(answer.split())[:SHOWN_CHARACTERS_MAX]
    hint = " (redirects are not followed)" if 300 <= status <= 399 else ""
    is_final = status < 500 and status not in _LATER
    raise NotifierError(
        f"status {status}{hint}{': ' + words if words else ''}",
        is_final,
        retry_after_s(response.headers.get("retry-after", ""), datetime.now(UTC)),
    )


def retry_after_s(text: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, at most an hour; None when it says nothing of use."""
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return min(max(0.0, (at - now).total_seconds()), RETRY_AFTER_S_MAX)
