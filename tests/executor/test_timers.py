"""What is to be done later: waits that poll(2) can take, whatever was asked for."""

import os
import select

from dagsched.spawner.timers import Timers

TEN_YEARS_S = 3650 * 86_400.0


def test_a_wait_of_years_is_one_that_poll_takes():
    timers = Timers()
    timers.after(TEN_YEARS_S, lambda: None)
    waiting = timers.wait_ms()
    assert waiting is not None
    assert 0 < waiting < 2**31
    reader, writer = os.pipe()
    os.close(writer)
    poll = select.poll()
    poll.register(reader)
    assert poll.poll(waiting)  # the end of the stream is there at once; OverflowError would be, too
    os.close(reader)


def test_a_timer_that_was_cancelled_is_nothing_to_wait_for():
    timers = Timers()
    timers.after(TEN_YEARS_S, lambda: None).cancel()
    assert timers.wait_ms() is None


def test_a_cancelled_timer_hides_none_behind_it():
    timers, done = Timers(), []
    timers.after(0, lambda: done.append("cancelled")).cancel()
    timers.after(0, lambda: done.append("kept"))
    waiting = timers.wait_ms()
    assert waiting is not None
    assert waiting < 1000
    timers.run_due()
    assert done == ["kept"]
