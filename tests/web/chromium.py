"""A real browser: the system's Chromium, without a window, driven by playwright."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.caller import Caller

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE_MS = 20_000


def chromium() -> str:
    """Return where Chromium is; without it the test is skipped, but fails in CI, where it must be there."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    words = "this needs Chromium: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)


@contextmanager
def launched() -> Iterator[Browser]:
    """Run a browser."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as playwright:
        # Tests run as root in a container, where its sandbox cannot be; the pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


def logged_in(browser: Browser, caller: Caller, role: str = "admin", *, at: str = "", **more: Any) -> Page:
    """Return a window that came in by a one-time link; `at`: where the pages are, if not where the caller is."""
    context = browser.new_context(**more)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    link = json.loads(caller.daemon.ask("open", "--json", "--role", role))["url"]
    page.goto(link.replace(caller.url, at) if at else link)
    return page


def complaints(page: Page) -> list[str]:
    """Return a list that grows with what goes wrong in a window: errors, refused scripts and styles."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found
