"""A million finished runs of a thousand jobs in the store: how long each web page takes to its first byte.

Measured: from a request to the first byte of the answer's body, each page of the table, with fifty runs under way;
the first call of each, which compiles its template, is told apart. Yardstick: `/livez` on the same connection, in
turns. Said as well: the bytes of each page, and the memory of the process that serves them. Reads /proc, so Linux
alone.
"""

from __future__ import annotations

import time
from pathlib import Path

import httpx
from history import fill, finished_runs
from yard import Report, daemon, family, memory_mb, options, scratch

from dagsched.web.pages import PAGES

JOBS, BUSY = 950, 50
RUNS = 1_000_000
GOAL_MS = 100.0
STEADY = "job-00100"
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=RUNS, metavar="N", help=f"finished runs ({RUNS:,})")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the state there, or use what is there")
    args = parser.parse_args()
    with scratch() as folder:
        measure(args.keep or folder, args)


def measure(folder: Path, args: object) -> None:
    jobs, state = folder / "jobs.yaml", folder / "state"
    rows: int = args.rows  # type: ignore[attr-defined]
    report = Report(f"pages: first bytes with {JOBS + BUSY:,} jobs and {rows:,} finished runs")
    if not state.exists():
        folder.mkdir(exist_ok=True)
        jobs.write_text(job_file())
        with daemon(jobs, state):
            pass
        fill(state, finished_runs(rows, JOBS))
    with daemon(jobs, state) as pid:
        transport = httpx.HTTPTransport(uds=str(state / "api.sock"))
        with httpx.Client(base_url="http://local", transport=transport, timeout=120) as client:
            busy(client)
            show(report, client, args.runs)  # type: ignore[attr-defined]
            children = [each for each in family(pid) if is_server(each)]
            report.limit("memory of the process that serves pages, MB", sum(map(memory_mb, children)))
    report.print(as_json=args.json)  # type: ignore[attr-defined]


def job_file() -> str:
    """Return jobs on hourly and daily schedules of several zones, each tenth of which starts some others."""
    lines = ["version: 1", "jobs:"]
    for number in range(JOBS):
        zone, head = ZONES[number % len(ZONES)], f"  job-{number:05}: {{"
        if number % 10:
            when = f"{number % 60} {number % 24} * * *" if number % 3 else f"{number % 60} * * * *"
            lines.append(f'{head}schedule: "{when}", timezone: {zone}, run: "true", tags: [team-{number % 7}]}}')
        else:
            lines.append(f'{head}depends_on: [job-{number + 1:05}, job-{number + 2:05}], run: "true"}}')
    lines += [f"  busy-{number:02}: {{run: sleep 3600}}" for number in range(BUSY)]
    return "\n".join([*lines, "pools: {}", ""])


def busy(client: httpx.Client) -> None:
    """Have some runs under way."""
    for number in range(BUSY):
        client.post(f"/api/v1/jobs/busy-{number:02}/trigger", json={}).raise_for_status()


def show(report: Report, client: httpx.Client, runs: int) -> None:
    newest = client.get(f"/api/v1/runs?job={STEADY}&limit=1").json()["items"][0]["run"]
    paths = {page.path: page.path.replace("{job}", STEADY).replace("{run}", newest) for page in PAGES}
    paths["/jobs, by the last run"] = "/jobs?sort=last&q=job"
    paths["/jobs/{job}, failed runs"] = f"/jobs/{STEADY}?state=failed"
    paths["/timeline, seven days"] = "/timeline?span=7d"
    paths["/graph, around one job"] = f"/graph?job={STEADY}"
    paths["/graph, not grouped"] = "/graph?by=none"
    paths["/events, of a rare kind"] = "/events?kind=config"
    first = {label: first_byte_ms(client, path) for label, path in paths.items()}
    took: dict[str, list[float]] = {label: [] for label in paths}
    sizes: dict[str, int] = {}
    live: list[float] = []
    for _ in range(max(10, runs)):
        for label, path in paths.items():
            live.append(first_byte_ms(client, "/livez")[0])
            milliseconds, sizes[label] = first_byte_ms(client, path)
            took[label].append(milliseconds)
    lively = report.add("/livez", "ms", live)
    for label in paths:
        figure = report.add(label, "ms", took[label])
        report.ratio(f"{label} / livez", figure, lively)
        report.limit(
            f"{label}, ms ({sizes[label]:,} bytes; the first time {first[label][0]:.0f} ms)", figure.median, GOAL_MS
        )


def first_byte_ms(client: httpx.Client, path: str) -> tuple[float, int]:
    """Return the milliseconds to the first byte of a page, and how many bytes it has."""
    begun = time.perf_counter()
    with client.stream("GET", path, headers={"Accept": "text/html"}) as answer:
        pieces = answer.iter_raw()
        size = len(next(pieces))
        took = (time.perf_counter() - begun) * 1000
        size += sum(map(len, pieces))
        if answer.status_code != 200:
            raise SystemExit(f"{path}: status {answer.status_code}")
    return took, size


def is_server(pid: int) -> bool:
    return b"dagsched.web" in Path(f"/proc/{pid}/cmdline").read_bytes()


if __name__ == "__main__":
    main()
