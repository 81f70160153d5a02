"""Writes to several shipments in one call: the call succeeds, and each of its shipments may have failed."""

from collections.abc import Callable, Sequence

from shipcrowd.sandbox.flipkart import wire
from shipcrowd.sandbox.flipkart.state import Seller, Shipment, World
from shipcrowd.sandbox.flipkart.wire import Json


class Failed(Exception):
    """One shipment (or return) of a batch is not taken; the rest is."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.error = (code, message)


def each(
    world: World,
    seller: Seller,
    entries: Sequence[Json],
    act: Callable[[Shipment, Json], None],
    *,
    key: str = "status",
) -> Json:
    """`act` on each entry's shipment, which is found by `shipmentId` and must lie at its `locationId`."""

    def outcome(entry: Json) -> Json:
        shipment_id = str(entry.get("shipmentId"))
        try:
            act(_named(seller, shipment_id, entry), entry)
        except Failed as failure:
            return wire.item_result(world, shipment_id, failure.error, key=key)
        return wire.item_result(world, shipment_id, None, key=key)

    return {"shipments": [outcome(entry) for entry in entries]}


def _named(seller: Seller, shipment_id: str, entry: Json) -> Shipment:
    shipment = seller.shipments.get(shipment_id)
    if shipment is None:
        raise Failed("INVALID_SHIPMENTS", "Shipment not found for seller")
    if entry.get("locationId") != shipment.location.id:
        raise Failed("INVALID_SHIPMENTS", "Shipment not found at this location")
    if shipment.refusal:
        armed = shipment.refusal
        armed.times -= 1
        if not armed.times:
            shipment.refusal = None
        raise Failed(armed.code, armed.message)
    return shipment
