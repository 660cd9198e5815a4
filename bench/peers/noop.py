"""The function that does nothing, for dagsched's jobs."""


def noop() -> None:
    """Do nothing."""
