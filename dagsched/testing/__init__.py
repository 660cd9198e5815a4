"""What users need to test their own jobs: a job file, a virtual clock, and outcomes as the test says.

    from dagsched.testing import World

    world = World("jobs.yaml", start="2026-11-23", timezone="Europe/Berlin")
    world.fails("b", on="2026-11-24")
    world.run_until("2026-11-30")
    assert world.count("c", "success") == 6

The engine is the real one: what it does here is what the daemon does. With pytest, the fixture `dagsched_world` makes
worlds and shows their history when a test fails (`pytest_plugin.py`); nothing here needs pytest.
"""

from dagsched.testing.world import World

__all__ = ["World"]
