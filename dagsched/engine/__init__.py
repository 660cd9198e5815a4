"""What should happen next, and why not: the plan and the events and commands it speaks in."""

from dagsched.engine.plan import Plan

__all__ = ["Plan"]
