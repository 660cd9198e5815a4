"""What holds for every test."""

from hypothesis import HealthCheck, settings

# A busy machine is slow, not wrong: how long an example takes is measured in bench/, never by a test.
settings.register_profile("dagsched", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dagsched")
