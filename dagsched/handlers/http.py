"""`handler: http`: one request, in a process of its own.

    handler: http
    with: {method: POST, url: https://example.com/hook, json: {report: done}, expect: [200, 202]}

The answer (status, headers, body up to a cap) is the attempt's log. Every attempt of a run sends the same
`Idempotency-Key`, the run's name, so that a server that knows the header does the work once; the trace
context goes along as `traceparent`. Redirects are answers like any other unless `follow_redirects` says so:
a POST that silently becomes a GET is nothing to find out at night. Outputs: `status`, and `body` when it is
JSON or text of at most 16 KiB.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import httpx

from dagsched.errors import HandlerError

BODY_BYTES_MAX = 1024 * 1024
OUTPUT_BYTES_MAX = 16 * 1024
TIMEOUT = "60s"

_STATUS = {"type": "integer", "minimum": 100, "maximum": 599}
_LENGTH = r"([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+"
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SECRET: Mapping[str, Any] = {
    "required": ["secret"],
    "properties": {"secret": {"type": "string"}, "prefix": {"type": "string"}},
    "additionalProperties": False,
}
_TEXTS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "object"], **_SECRET}}

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url"],
    "not": {"required": ["json", "body"]},
    "properties": {
        "method": {
            "description": "The request's method.",
            "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            "default": "GET",
        },
        "url": {"description": "Where to.", "type": ["string", "object"], "pattern": "^https?://", **_SECRET},
        "params": {"description": "Added to the URL's query.", **_TEXTS},
        "headers": {"description": "Added to the request's headers.", **_TEXTS},
        "json": {"description": "Sent as JSON."},
        "body": {"description": "Sent as it is, in UTF-8.", "type": "string"},
        "expect": {
            "description": "Statuses that are success; 200 to 299 when absent.",
            "oneOf": [_STATUS, {"type": "array", "minItems": 1, "items": _STATUS}],
        },
        "timeout": {
            "description": "How long to wait to connect, to send, or for more of the answer: `10s`.",
            "type": "string",
            "pattern": f"^{_LENGTH}$",
            "default": TIMEOUT,
        },
        "follow_redirects": {"description": "Follow redirects.", "type": "boolean", "default": False},
    },
}


class HttpHandler:
    """Sends the request that `with` describes."""

    SCHEMA = SCHEMA

    def run(self, context: Mapping[str, Any]) -> dict[str, str]:
        """Return `status` and perhaps `body`; raises HandlerError when the answer is not the expected one."""
        asked = filled(context["with"], context.get("secrets", {}))
        where = context["with"]["url"]
        options: dict[str, Any] = {
            "timeout": seconds(asked.get("timeout", TIMEOUT)),
            "follow_redirects": asked.get("follow_redirects", False),
        }
        try:
            with httpx.Client(**options) as client, client.stream(**_request(context["run"], asked)) as response:
                body, size = _read(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HandlerError(
                f"{asked.get('method', 'GET')} {where if isinstance(where, str) else 'a secret address'}: "
                f"{type(error).__name__}: {error}"
            ) from error
        _show(response, body, size)
        if not is_expected(response.status_code, asked.get("expect")):
            raise HandlerError(f"status {response.status_code} is not {_expectation(asked.get('expect'))}")
        return {"status": str(response.status_code), **_body_output(response, body, size)}


def filled(asked: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings with `{secret: NAME}` replaced by that secret's value; raises HandlerError for unknown names.

    Inside `json` a mapping of that form may as well be meant as it stands: it is when the job has no such secret.
    """
    found = dict(asked)
    found["url"] = _filled_text(asked["url"], secrets)
    for key in ("headers", "params"):
        if key in asked:
            found[key] = {name: _filled_text(value, secrets) for name, value in asked[key].items()}
    if "json" in asked:
        found["json"] = _filled_json(asked["json"], secrets)
    return found


def _filled_text(value: Any, secrets: Mapping[str, str]) -> Any:
    if not isinstance(value, Mapping):
        return value
    if value["secret"] not in secrets:
        raise HandlerError(f"http handler: the job has no secret {value['secret']!r}")
    return value.get("prefix", "") + secrets[value["secret"]]


def _filled_json(value: Any, secrets: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_filled_json(each, secrets) for each in value]
    if not isinstance(value, Mapping):
        return value
    if value.keys() <= {"secret", "prefix"} and value.get("secret") in secrets:
        return _filled_text(value, secrets)
    return {name: _filled_json(each, secrets) for name, each in value.items()}


def seconds(length: str) -> float:
    """Return a length with its units in seconds; raises HandlerError."""
    if not re.fullmatch(_LENGTH, length):
        raise HandlerError(f"{length!r} is no length; write it like 10s, 1m30s or 500ms")
    parts = re.findall(r"([0-9.]+)([a-z]+)", length)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def is_expected(status: int, expect: int | list[int] | None) -> bool:
    """Whether a status is success."""
    if expect is None:
        return 200 <= status <= 299
    return status in (expect if isinstance(expect, list) else [expect])


def _expectation(expect: int | list[int] | None) -> str:
    if expect is None:
        return "in 200-299"
    return "one of " + ", ".join(map(str, expect)) if isinstance(expect, list) else str(expect)


def _request(run: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    headers = httpx.Headers({"Idempotency-Key": run})
    if "TRACEPARENT" in os.environ:
        headers["traceparent"] = os.environ["TRACEPARENT"]
    headers.update({name: _header(value) for name, value in asked.get("headers", {}).items()})
    request = {"method": asked.get("method", "GET"), "url": asked["url"], "headers": headers}
    if "params" in asked:
        # Without this httpx would put the params in place of the query that the URL has.
        request["url"] = httpx.URL(asked["url"]).copy_merge_params(asked["params"])
    if "json" in asked:
        request["json"] = asked["json"]
    if "body" in asked:
        request["content"] = asked["body"].encode()
    return request


def _header(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(response: httpx.Response) -> tuple[bytes, int]:
    """Return the body up to the cap, and how long it was; what is beyond is read and dropped."""
    kept, size = bytearray(), 0
    for chunk in response.iter_bytes():
        kept += chunk[: BODY_BYTES_MAX - len(kept)]
        size += len(chunk)
    return bytes(kept), size


def _show(response: httpx.Response, body: bytes, size: int) -> None:
    print(response.http_version, response.status_code, response.reason_phrase)
    for name, value in response.headers.multi_items():
        print(f"{name}: {value}")
    print()
    print(_decode(response, body))
    if size > len(body):
        print(f"[dagsched: {size - len(body)} bytes left out]")


def _decode(response: httpx.Response, body: bytes) -> str:
    try:
        return body.decode(response.encoding or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _body_output(response: httpx.Response, body: bytes, size: int) -> dict[str, str]:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_text = kind.startswith("text/") or kind == "application/json" or kind.endswith("+json")
    text = _decode(response, body)
    return {"body": text} if is_text and 0 < size <= OUTPUT_BYTES_MAX and "\0" not in text else {}


handler = HttpHandler()
