"""What others may want to know of parcels. Each names one shipment, or one manifest; listeners re-read it."""

from dataclasses import dataclass
from uuid import UUID

from shipcrowd.kernel.events import Event


@dataclass(frozen=True)
class ShipmentBooked(Event):
    shipment_id: UUID


@dataclass(frozen=True)
class ShipmentRefused(Event):
    """No courier took it; the money is back."""

    shipment_id: UUID


@dataclass(frozen=True)
class ShipmentMoved(Event):
    shipment_id: UUID


@dataclass(frozen=True)
class DeliveryFailed(Event):
    """An attempt failed: an NDR."""

    shipment_id: UUID


@dataclass(frozen=True)
class ShipmentDelivered(Event):
    shipment_id: UUID


@dataclass(frozen=True)
class ReturningToOrigin(Event):
    shipment_id: UUID


@dataclass(frozen=True)
class ShipmentAwbChanged(Event):
    """An AWB that a person had typed was corrected."""

    shipment_id: UUID


@dataclass(frozen=True)
class ShipmentCancelled(Event):
    shipment_id: UUID


@dataclass(frozen=True)
class ParcelsReady(Event):
    """A manifest was closed: its parcels are packed and wait for the courier."""

    manifest_id: UUID
