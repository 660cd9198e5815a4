"""Draws the time lines of `docs/how-to-joins.md`: `python -m tests.pages.timelines`.

Each scene is a job file on that page and what happens to it. The engine lives through it on a virtual clock, and what
it did is drawn: ticks, waits, runs, and for each run the upstream runs that it was joined with. Nothing by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from dagsched.model import Run
from dagsched.testing import World
from tests.pages.blocks import ROOT, blocks_of

PAGE = ROOT / "docs" / "how-to-joins.md"
IMAGES = ROOT / "docs" / "images"

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 760, 96, 24, 30, 64, 12
# A background of its own, so that it can be read whatever lies behind it.
_STYLE = """\
svg{--paper:#fff;--ink:#1f2328;--dim:#59636e;--line:#d1d9e0;--ok:#1a7f37;--bad:#cf222e;--join:#0969da}
@media(prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#f0f6fc;--dim:#9198a1;--line:#3d444d;--ok:#3fb950;--bad:#f85149;--join:#4493f8}}
text{font:12px system-ui,sans-serif;fill:var(--ink)}.dim{fill:var(--dim);font-size:11px}.job{font-weight:600}
.paper{fill:var(--paper);stroke:var(--line)}.row{stroke:var(--line)}.tick{stroke:var(--ink);stroke-width:2}
.wait{stroke:var(--dim);stroke-width:2;stroke-dasharray:3 4}
.ok{fill:var(--ok)}.bad{fill:var(--bad)}.bad-text{fill:var(--bad)}
.out{fill:var(--paper);stroke:var(--dim);stroke-width:2}
.join{fill:none;stroke:var(--join);stroke-width:1.5}.head{fill:var(--join)}"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A job file of the page, from when to when it is watched (local times), and what its attempts do."""

    file: str
    start: str
    until: str
    does: Callable[[World], None]
    marks: str = "%a %H:%M"

    @property
    def image(self) -> Path:
        return IMAGES / f"{Path(self.file).stem}.svg"


def _slow_tuesday(world: World) -> None:
    world.takes("load", "2h")
    world.takes("load", "9h", on="2026-11-24")
    world.takes("report", "2h")
    world.fails("load", on="2026-11-25")


def _quarters(world: World) -> None:
    world.takes("collect", "1h")
    world.takes("collect", "4h", on="2026-11-24T00:00")
    world.takes("total", "1h")


def _weekly(world: World) -> None:
    world.takes("model", "5h")
    world.takes("score", "2h")


def _weekdays(world: World) -> None:
    world.takes("trades", "2h")
    world.takes("mirror", "2h")


def _both(world: World) -> None:
    world.takes("orders", "20m")
    world.takes("stock", "20m")
    world.takes("publish", "10m")


SCENES = (
    Scene("joins-newest.yaml", "2026-11-23", "2026-11-26", _slow_tuesday),
    Scene("joins-weekly.yaml", "2026-11-23", "2026-11-24T12:00", _weekly),
    Scene("joins-every.yaml", "2026-11-23", "2026-11-24T06:00", _quarters),
    Scene("joins-same.yaml", "2026-11-26", "2026-11-29", _weekdays),
    Scene("joins-union.yaml", "2026-11-23", "2026-11-23T04:00", _both, "%H:%M"),
)


def lived(scene: Scene) -> World:
    """Return the world of a scene at its end."""
    text = next(block.text for block in blocks_of(PAGE) if block.name == scene.file)
    world = World(text, start=scene.start)
    scene.does(world)
    world.run_until(scene.until)
    return world


def drawn(scene: Scene) -> str:
    """Return the picture of a scene, as SVG."""
    return "\n".join(_Picture(lived(scene), scene).lines()) + "\n"


class _Picture:
    def __init__(self, world: World, scene: Scene) -> None:
        self.world, self.scene = world, scene
        self.rows = {job: TOP + ROW // 2 + at * ROW for at, job in enumerate(world.config.jobs)}
        self.runs = {run.key: run for job in self.rows for run in self._runs(job)}
        self.begin = min(run.tick for run in self.runs.values())
        self.end = world.now
        margin = (self.end - self.begin) / 40
        self.begin, self.end = self.begin - margin, self.end + margin

    def _runs(self, job: str) -> Iterator[Run]:
        for line in self.world.history(job):
            yield self.world.run(job, line.tick)

    def x(self, moment: datetime) -> float:
        share: float = (moment - self.begin) / (self.end - self.begin)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def lines(self) -> Iterator[str]:
        height = TOP + ROW * len(self.rows) + BOTTOM
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'role="img">'
        )
        yield f"<title>{escape(' and '.join(self.rows))}</title>"
        yield f"<desc>{escape(' '.join(told(self.runs)))}</desc>"
        yield f"<style>{_STYLE}</style>"
        yield f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>'
        yield '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        yield '<path class="head" d="M0 0 8 4 0 8z"/></marker>'
        for job, y in self.rows.items():
            yield f'<text class="job" x="14" y="{y + 4}">{escape(job)}</text>'
            yield f'<line class="row" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
        yield from self._marks()
        for run in self.runs.values():
            yield from self._joins(run)
        for run in self.runs.values():
            yield from self._run(run)
        yield "</svg>"

    def _marks(self) -> Iterator[str]:
        """Name the ticks along the upper edge, as many as there is room for."""
        free = 0.0
        for tick in sorted({run.tick for run in self.runs.values()}):
            if self.x(tick) >= free:
                said = tick.astimezone(self.world.now.tzinfo).strftime(self.scene.marks)
                yield f'<text class="dim" x="{self.x(tick)}" y="22" text-anchor="middle">{said}</text>'
                free = self.x(tick) + 62

    def _run(self, run: Run) -> Iterator[str]:
        x, y = self.x(run.tick), self.rows[run.job]
        yield f'<line class="tick" x1="{x}" y1="{y - 11}" x2="{x}" y2="{y + 11}"/>'
        if run.started is None:
            if run.state in ("waiting", "queued"):
                yield f'<line class="wait" x1="{x}" y1="{y}" x2="{self.x(self.end)}" y2="{y}"/>'
                return
            yield f'<circle class="out" cx="{x}" cy="{y}" r="6"/>'
            yield f'<text class="dim" x="{x}" y="{y + 27}" text-anchor="middle">{run.state.replace("_", " ")}</text>'
            return
        begin, end = self.x(run.started), self.x(run.ended or self.end)
        if begin - x > 2:
            yield f'<line class="wait" x1="{x}" y1="{y}" x2="{begin}" y2="{y}"/>'
        kind = "bad" if run.state == "failed" else "ok"
        yield f'<rect class="{kind}" x="{begin}" y="{y - 6}" width="{max(end - begin, 5):.1f}" height="12" rx="3"/>'
        if kind == "bad":
            yield f'<text class="bad-text" x="{end + 4}" y="{y - 8}">✗ failed</text>'

    def _joins(self, run: Run) -> Iterator[str]:
        for link in run.links:
            above = self.runs.get((link.job, link.tick)) if link.tick else None
            if above is None:
                continue
            end = self.x(run.started or run.tick)
            begin = self.x(above.ended if above.started and above.ended else above.tick)
            # One that gave up waiting ended before its upstream run did; arrows do not point into the past.
            begin = begin if begin <= end else self.x(above.tick)
            y, y2 = self.rows[above.job] + 8, self.rows[run.job] - 9
            middle = (y + y2) / 2
            yield (
                f'<path class="join" marker-end="url(#head)" '
                f'd="M{begin} {y}C{begin} {middle} {end} {middle} {end} {y2}"/>'
            )


def told(runs: Mapping[tuple[str, datetime], Run]) -> Iterator[str]:
    """Return what became of each run as sentences, for who cannot see the picture."""
    for run in runs.values():
        tick = f"{run.tick:%a %H:%M}"
        after = ", ".join(f"{link.job} {link.tick:%a %H:%M}" for link in run.links if link.tick)
        late = run.started is not None and run.started - run.tick > timedelta(minutes=1)
        waited = f", started {run.started:%a %H:%M}" if late and run.started else ""
        yield f"{run.job} {tick}: {run.state}" + (f" after {after}" if after else "") + waited + "."


def main() -> None:
    for scene in SCENES:
        scene.image.write_text(drawn(scene), encoding="utf-8")
        print(scene.image.relative_to(ROOT))


if __name__ == "__main__":
    main()
