"""What places tell those above them."""

from dataclasses import dataclass
from uuid import UUID

from shipcrowd.kernel.events import Event


@dataclass(frozen=True)
class PlaceChanged(Event):
    """A place is new, in use again, or not what couriers were told any more."""

    place_id: UUID
