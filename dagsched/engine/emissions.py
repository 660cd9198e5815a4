"""An event that was emitted becomes a line of the log, and one tick for all that listen."""

from __future__ import annotations

from dagsched.engine.book import Book
from dagsched.engine.events import EventEmitted
from dagsched.engine.ticks import Ticks
from dagsched.model import EVENT, EVENT_DATA, Emission


def emit(book: Book, ticks: Ticks, event: EventEmitted) -> None:
    """Make the event's tick, unless one with its id was made before."""
    key = (event.event, event.id)
    if event.id and key in book.emissions:
        book.note("event.repeated", reason=f"{event.event} with the id {event.id!r} was emitted before")
        return
    # What is due already comes first, as at a trigger.
    ticks.make_due()
    data = dict(event.data)
    listeners = ticks.listeners(event.event)
    detail = {"event": event.event, "id": event.id, "data": data, "jobs": listeners}
    book.note("event.emitted", reason=event.event, detail=detail)
    tick = ticks.make_event(listeners, event.params, {EVENT: event.event, EVENT_DATA: data})
    if event.id:
        book.save_emission(Emission(*key, tick))
