"""A browser without script: a client with cookies that follows links, reads pages and sends their forms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.api.caller import Caller

PAGE = "text/html,application/xhtml+xml"


class Browser:
    """A browser that came in by a one-time link, with this role; without a role it did not come in."""

    def __init__(self, caller: Caller, role: str | None = "admin") -> None:
        self.http = httpx.Client(base_url=caller.url, headers={"Accept": PAGE}, timeout=20)
        self.origin = caller.url
        if role is not None:
            link = json.loads(caller.daemon.ask("open", "--json", "--role", role))["url"]
            answer = self.http.get(link)
            assert answer.status_code == 303, answer.text

    def get(self, path: str) -> httpx.Response:
        """Return what is at a path, as seen from the front page."""
        return self.http.get("/" + path)

    def page(self, path: str) -> str:
        """Return the text of a page that must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        return answer.text

    def send(self, path: str, fields: Mapping[str, Any], *, seal: str | None = None, **headers: str) -> httpx.Response:
        """Post a form as a page of this server would, sealed as that page's are."""
        given = {"seal": self.seal() if seal is None else seal, **fields}
        return self.http.post("/" + path, data=given, headers={"Origin": self.origin, **headers})

    def seal(self) -> str:
        """Return what the forms on the front page are sealed with."""
        found = re.search(r'name="seal" value="([0-9a-f]{64})"', self.page(""))
        assert found is not None
        return found[1]

    def after(self, answer: httpx.Response) -> str:
        """Return the page that a form's answer leads to."""
        assert answer.status_code == 303, answer.text
        target = urljoin(str(answer.request.url), answer.headers["location"])
        assert target.startswith(self.origin + "/")
        return self.page(target.removeprefix(self.origin + "/"))

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def text_of(page: str) -> str:
    """Return the words of a page, with single spaces."""
    found = _Text()
    found.feed(page)
    return unescape(" ".join(found.words))


def tags_of(page: str, name: str) -> list[dict[str, str | None]]:
    """Return the attributes of each tag of this name."""
    found = _Text()
    found.feed(page)
    return [attributes for tag, attributes in found.tags if tag == name]


def said(page: str) -> str:
    """Return what the page says of the form that led to it."""
    found = re.search(r'class="said[^>]*>(.*?)</p>', page, re.DOTALL)
    assert found is not None, page
    return unescape(found[1])
