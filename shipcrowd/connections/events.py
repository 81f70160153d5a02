"""What connections tell those above them."""

from dataclasses import dataclass
from uuid import UUID

from shipcrowd.kernel.events import Event


@dataclass(frozen=True)
class ConnectionLost(Event):
    """A vendor no longer accepts our credentials: someone has to connect the account again."""

    connection_id: UUID


@dataclass(frozen=True)
class ConnectionPaused(Event):
    """An account was paused by itself, after too many errors in a row."""

    connection_id: UUID
