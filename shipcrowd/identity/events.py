"""What identity tells those above it."""

from dataclasses import dataclass

from shipcrowd.kernel.events import Event


@dataclass(frozen=True)
class CompanyRegistered(Event):
    """A new company exists, with its owner."""
