"""`handler: agent`: work that a worker elsewhere does, reached by HTTP.

    GET    URL/health               2xx, or nothing is sent
    POST   URL/runs                 {"run", "attempt", "task", "input", …}: 200 done, or 202 and asked again
    GET    URL/runs/RUN?offset=N    {"state": "running" | "success" | "failed", "output", "outputs", "error"}
    DELETE URL/runs/RUN             at a timeout or a cancel

The run's name is the key: a worker that has the run going already joins, so an attempt that was lost here and is made
anew finds its work again. This process asks on whatever becomes of the daemon, which adopts it; when it is told to
end it tells the worker first. docs/handlers.md has the protocol in full, examples/agent.py a worker.
"""

from __future__ import annotations

import email.utils
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from dagsched.declaration import AGENT_TOKEN
from dagsched.errors import HandlerError
from dagsched.handlers.http import seconds

ANSWER_BYTES_MAX = 8 * 1024 * 1024
PATIENCE_S = 300.0
PAUSE_MAX_S = 60.0
CANCEL_S = 5.0
TIMEOUT, POLL, HEALTH = "30s", "2s", "/health"

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["agent", "at"],
    "properties": {
        "agent": {"description": "The worker's name.", "type": "string"},
        "at": {"description": "What `agents` says of it.", "type": "object", "required": ["url"]},
        "task": {"description": "What it is to do; the job's id when absent.", "type": "string"},
        "input": {"description": "Sent as JSON."},
        "poll": {"description": "How often to ask.", "type": "string", "default": POLL},
    },
}


class Cancelled(BaseException):
    """This attempt was told to end."""


class AgentHandler:
    """Has the work done and waits for its end."""

    SCHEMA = SCHEMA

    def run(self, context: Mapping[str, Any]) -> dict[str, str]:
        """Return the outputs that the worker tells; raises HandlerError when it fails or cannot be reached."""
        at = context["with"].get("at")
        if at is None:
            raise HandlerError(f"no agent {context['with'].get('agent')!r} is declared")
        signal.signal(signal.SIGTERM, _cancel)
        headers = {"Idempotency-Key": context["run"]}
        if "TRACEPARENT" in os.environ:
            headers["traceparent"] = os.environ["TRACEPARENT"]
        if "token" in at:
            headers["Authorization"] = f"Bearer {os.environ[AGENT_TOKEN]}"
        timeout = seconds(at.get("timeout", TIMEOUT))
        with httpx.Client(headers=headers, timeout=timeout, follow_redirects=False) as client:
            return Work(client, at["url"].rstrip("/"), context).done()


class Work:
    """One run at one worker."""

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        context: Mapping[str, Any],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._url, self._context, self._sleep = client, url, context, sleep
        self._asked = context["with"]
        self._place = f"{url}/runs/{quote(context['run'], safe='')}"
        self._offset = 0
        self._pause_s = seconds(self._asked.get("poll", POLL))

    def done(self) -> dict[str, str]:
        """See the work to its end and return its outputs; raises HandlerError."""
        self._ask_health()
        try:
            answer = self._begin()
            while not self._is_over(answer):
                answer = self._ask_on(answer)
        except Cancelled:
            self._call_off()
        return self._end_of(_body(answer))

    # ------------------------------------------------------------ requests

    def _ask_health(self) -> None:
        path = self._asked["at"].get("health", HEALTH)
        if path is False:
            return
        try:
            answer = self._client.get(self._url + path)
        except httpx.HTTPError as error:
            raise self._trouble(f"is not there: {type(error).__name__}: {error}") from None
        if not answer.is_success:
            raise self._trouble(f"is not healthy: status {answer.status_code} of {path}")

    def _begin(self) -> httpx.Response:
        context = self._context
        order = {
            "run": context["run"],
            "job": context["job"],
            "tick": context["tick"],
            "attempt": context["attempt"],
            "task": self._asked.get("task", context["job"]),
            "input": self._asked.get("input"),
            "params": context["params"],
        }
        try:
            answer = self._client.post(f"{self._url}/runs", json=order)
        except httpx.HTTPError as error:
            # It may have the work all the same: the next attempt joins it there.
            raise self._trouble(f"did not answer: {type(error).__name__}: {error}") from None
        if answer.status_code not in (200, 201, 202):
            raise self._trouble(f"refused the work: status {answer.status_code}: {_words(answer)}")
        place = answer.headers.get("location")
        if place:
            self._place = self._own(str(answer.url.join(place)))
        return answer

    def _own(self, place: str) -> str:
        """Return the place, which must be of the worker itself: the token goes nowhere else."""
        at, other = httpx.URL(self._url), httpx.URL(place)
        if (at.scheme, at.host, at.port) != (other.scheme, other.host, other.port):
            raise self._trouble(f"points elsewhere: {place}")
        return place

    def _ask_on(self, before: httpx.Response) -> httpx.Response:
        """Wait, and ask how it goes; a worker that is gone for a while is asked again."""
        self._sleep(_wished_s(before, self._pause_s))
        began, pause_s = time.monotonic(), self._pause_s
        while True:
            try:
                answer = self._client.get(self._place, params={"offset": self._offset})
            except httpx.HTTPError as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code in (200, 202):
                    return answer
                if answer.status_code < 500 and answer.status_code not in (408, 425, 429):
                    raise self._trouble(f"knows the run no more: status {answer.status_code}: {_words(answer)}")
                trouble = f"status {answer.status_code}"
            if time.monotonic() - began > PATIENCE_S:
                raise self._trouble(f"has not answered for {PATIENCE_S:g} s: {trouble}")
            self._sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)

    def _call_off(self) -> NoReturn:
        """Tell the worker that nobody wants the work any more."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            answer = self._client.delete(self._place, timeout=CANCEL_S)
            told = f"status {answer.status_code}"
        except httpx.HTTPError as error:
            told = f"{type(error).__name__}: {error}"
        raise HandlerError(f"told to end; the agent {self._asked['agent']} was told ({told})")

    # ------------------------------------------------------------ answers

    def _is_over(self, answer: httpx.Response) -> bool:
        """Show what the work has written since the last answer; return whether it is over."""
        body = _body(answer)
        text = body.get("output")
        if isinstance(text, str) and text:
            print(text, end="", flush=True)
            self._offset += len(text)
        return body.get("state") in ("success", "failed")

    def _end_of(self, body: Mapping[str, Any]) -> dict[str, str]:
        if body["state"] == "failed":
            raise self._trouble(f"says that the work failed: {body.get('error') or 'no reason given'}")
        outputs = body.get("outputs") or {}
        if not isinstance(outputs, Mapping):
            raise self._trouble("gave outputs that are no mapping")
        return {
            str(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in outputs.items()
        }

    def _trouble(self, words: str) -> HandlerError:
        return HandlerError(f"agent {self._asked['agent']} ({self._url}) {words}")


def _cancel(*_: object) -> NoReturn:
    raise Cancelled


def _wished_s(answer: httpx.Response, usual_s: float) -> float:
    """Return how long the worker wants to be left alone, at most a minute."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return min(float(text), PAUSE_MAX_S)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return usual_s
    return min(max(0.0, at.timestamp() - time.time()), PAUSE_MAX_S)


def _body(answer: httpx.Response) -> Mapping[str, Any]:
    if len(answer.content) > ANSWER_BYTES_MAX:
        raise HandlerError(f"an answer of {len(answer.content):,} bytes is too long")
    try:
        found = answer.json() if answer.content else {}
    except ValueError:
        raise HandlerError(f"status {answer.status_code}, and the answer is no JSON: {_words(answer)}") from None
    if not isinstance(found, Mapping):
        raise HandlerError("the answer is no JSON object")
    if answer.status_code != 202 and found.get("state") not in ("running", "success", "failed"):
        raise HandlerError(f"the answer's state is {found.get('state')!r}, not running, success or failed")
    return found


def _words(answer: httpx.Response) -> str:
    return " ".join(answer.text[:1000].split())[:200]


handler = AgentHandler()
