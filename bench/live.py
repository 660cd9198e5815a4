"""A thousand live events per second from a running daemon: whether a page that shows them goes on answering.

Measured, of each page in a browser for some seconds of that flood: from one frame to the next (p99 and the longest),
and from an event to the page that knows of it. Yardstick: frames of the same page while nothing happens, in the same
run. Said as well: how many events per second the page heard of, and the processor time that the server of pages took
for them. The flood is real: one job fails every second, and five hundred others are stopped by it. Needs Chromium
and playwright (`./dev setup`, `./dev tools`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from yard import ENV, Report, daemon, family, options, scratch, spent

STOPPED = 500
DOORS_SHUT = 4
FLOOD_S = 10.0
PAGES = {"now": "", "jobs": "jobs", "events": "events", "grid": "grid", "graph": "graph?job=source&by=none"}
GOAL_FRAME_MS, GOAL_LAG_MS = 100.0, 1000.0
WATCH = """
  window.frames = []; window.lags = []; window.heard = 0;
  let last = performance.now();
  const next = (at) => { window.frames.push(at - last); last = at; requestAnimationFrame(next); };
  requestAnimationFrame(next);
  document.addEventListener("events", ({ detail }) => {
    window.heard += detail.length;
    window.lags.push(Date.now() - Date.parse(detail.at(-1).time));
  });
"""
TAKE = """() => {
  const found = [window.frames, window.lags, window.heard];
  window.frames = []; window.lags = []; window.heard = 0;
  return found;
}"""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=FLOOD_S, metavar="S", help=f"of each page ({FLOOD_S:g})")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        raise SystemExit("not measured: it takes Chromium and playwright (./dev setup, ./dev tools)")
    with scratch() as folder, sync_playwright() as playwright:
        (folder / "jobs.yaml").write_text(job_file())
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with daemon(folder / "jobs.yaml", folder / "state", ENV, "--bind", "127.0.0.1:0") as pid:
            measure(folder / "state", pid, browser, args)
        browser.close()


def job_file() -> str:
    """Return one job that fails every second and those that it stops: two events of each, every second."""
    stopped = "".join(f"  after-{number:03}: {{depends_on: [source], run: 'true'}}\n" for number in range(STOPPED))
    return "version: 1\njobs:\n  source: {schedule: {every: 1s}, run: exit 1}\n" + stopped


def measure(state: Path, pid: int, browser: Any, args: Any) -> None:
    transport = httpx.HTTPTransport(uds=str(state / "api.sock"))
    report = Report(f"live: pages beside {2 * STOPPED:,} events per second")
    with httpx.Client(base_url="http://local", transport=transport, timeout=60) as client:
        page = browser.new_page()
        page.goto(link(state))
        page.context.add_init_script(WATCH)
        root = page.url
        for name, path in PAGES.items():
            client.post("/api/v1/jobs/source/pause", json={}).raise_for_status()
            quiet, _, _, _ = watched(page, f"{root}{path}", args.seconds, pid)
            client.post("/api/v1/jobs/source/resume", json={}).raise_for_status()
            frames, lags, heard, cpu = watched(page, f"{root}{path}", args.seconds, pid)
            loud = report.add(f"{name}: frame to frame", "ms", frames)
            still = report.add(f"{name}, quiet", "ms", quiet)
            report.limit(f"{name}: p99 of frames / that while quiet", loud.quantile(0.99) / still.quantile(0.99))
            longest = f"{name}: p99 of frames, ms (longest {max(frames):.0f} ms)"
            report.limit(longest, loud.quantile(0.99), GOAL_FRAME_MS)
            lag = report.add(f"{name}: event to page", "ms", lags)
            told = f"{heard / args.seconds:,.0f} events per second, {cpu / args.seconds:.0%} of a core to serve"
            report.limit(f"{name}: p95 of event to page, ms ({told})", lag.quantile(0.95), GOAL_LAG_MS)
    report.print(as_json=args.json)


def link(state: Path) -> str:
    """Return a link that lets a browser in, once."""
    command = [sys.executable, "-m", "dagsched", "open", "--json", "--state-dir", str(state)]
    while (told := subprocess.run(command, capture_output=True, text=True, env=ENV)).returncode == DOORS_SHUT:
        time.sleep(0.1)  # the doors open right after the daemon is ready
    return str(json.loads(told.stdout)["url"])


def watched(page: Any, url: str, seconds: float, pid: int) -> tuple[list[float], list[float], int, float]:
    """Look at a page for so long; return its frames, its lags, how much it heard, and the server's processor time."""
    page.goto(url)
    page.locator("[data-live]:not([hidden])").wait_for(state="attached")
    page.wait_for_timeout(2000)
    servers = [each for each in family(pid) if b"dagsched.web" in Path(f"/proc/{each}/cmdline").read_bytes()]
    page.evaluate(TAKE)
    begun = spent(servers).cpu_s
    page.wait_for_timeout(seconds * 1000)
    frames, lags, heard = page.evaluate(TAKE)
    return frames, lags or [0.0], heard, spent(servers).cpu_s - begun


if __name__ == "__main__":
    main()
