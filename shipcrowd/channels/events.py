"""What channels tell those above them."""

from dataclasses import dataclass
from uuid import UUID

from shipcrowd.kernel.events import Event


@dataclass(frozen=True)
class StoreConnected(Event):
    """A store was connected, or connected again."""

    connection_id: UUID


@dataclass(frozen=True)
class AnnouncementRefused(Event):
    """A store would not take the news of a parcel: the seller has to look."""

    announcement_id: UUID
