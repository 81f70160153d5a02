"""Telling Amazon that the seller's own courier has a parcel: `confirmShipment`, one call a parcel.

Amazon edits what it was told when the same package reference comes again, so each of our shipments has one of its own
that is always the same, and a repeat is safe. What was confirmed cannot be taken back: a parcel booked in place of a
cancelled one takes over its package. Source: orders v0 `confirmShipment` (kept there; 2026-01-01 has none).
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC

from shipcrowd.channels.contract import Dispatch
from shipcrowd.integrations.amazon import words
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import CONFIRM_SHIPMENT
from shipcrowd.integrations.amazon.orders import raw_order
from shipcrowd.integrations.amazon.raw import entries, objects, reading, text, within
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Refused

AMAZONS = frozenset({"amazon", "amazon_shipping"})
"""Couriers of ours that are Amazon's: a label bought from Amazon must not be confirmed."""

_OVER = frozenset({"DELIVERED", "CANCELLED"})


async def confirm(client: AmazonClient, order_ref: str, dispatch: Dispatch) -> str | None:
    """Confirm a parcel; its package reference, None for one that was booked with Amazon, which knows of it. Safe to
    repeat. Raises Refused for orders Amazon itself ships, and what Amazon refuses."""
    if dispatch.courier in AMAZONS:
        return None
    raw = await raw_order(client, order_ref)
    with reading("order", raw):
        _refuse_what_amazon_ships(raw)
        package = _package(raw, dispatch)
    code, name = words.carrier(dispatch.carrier)
    detail: dict[str, Json] = {
        "packageReferenceId": package,  # text holding a number: as a JSON number it is refused
        "carrierCode": code,
        "trackingNumber": dispatch.awb,
        "shipDate": clock.now().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "orderItems": [{"orderItemId": line.external_line_id, "quantity": line.units} for line in dispatch.lines],
    }
    if name is not None:
        detail["carrierName"] = name
    place = (await client.credentials()).place
    await client.call(
        CONFIRM_SHIPMENT, path={"orderId": order_ref}, body={"marketplaceId": place.id, "packageDetail": detail}
    )
    return package


def package_reference(shipment: str) -> str:
    """A positive number that is always the same for one shipment of ours."""
    return str(int.from_bytes(hashlib.sha256(shipment.encode()).digest()[:4], "big") % 999_999_999 + 1)


def _refuse_what_amazon_ships(raw: Mapping[str, Json]) -> None:
    fulfilment = within(raw, "fulfillment")
    if text(fulfilment.get("fulfilledBy")) == "AMAZON":
        raise Refused("fulfilled_by_amazon", "Amazon ships this order from its own warehouse; it is not confirmed.")
    if words.AMAZON_CARRIES & {text(program) for program in entries(raw.get("programs"))}:
        raise Refused("easy_ship", "Amazon's own courier carries this order, and tells Amazon by itself.")


def _package(raw: Mapping[str, Json], dispatch: Dispatch) -> str:
    """Which package of the order this parcel is: its own, told before or new while units are left, or else the one
    confirmed package with the same content, which this parcel then replaces."""
    ours = package_reference(dispatch.reference)
    told = {text(each.get("packageReferenceId")): each for each in objects(raw.get("packages"))}
    if ours in told or _fits(objects(raw.get("orderItems")), dispatch):
        return ours
    wanted = {line.external_line_id: line.units for line in dispatch.lines}
    replaced = [
        reference
        for reference, package in told.items()
        if reference.isdigit()
        and text(within(package, "packageStatus").get("status")) not in _OVER
        and _content(package) == wanted
    ]
    if len(replaced) > 1:
        raise Refused(
            "which_package",
            "Several parcels of this order hold the same items, and all of it is confirmed already; correct the "
            "tracking number in Seller Central.",
        )
    return replaced[0] if replaced else ours  # where nothing fits, the words of Amazon's refusal say best why


def _fits(items: Sequence[Mapping[str, Json]], dispatch: Dispatch) -> bool:
    left = {
        text(item.get("orderItemId")): within(item, "fulfillment").get("quantityUnfulfilled") for item in items
    }  # fmt: skip
    open_units = {line: int(units) for line, units in left.items() if units is not None}
    return all(open_units.get(line.external_line_id, line.units) >= line.units for line in dispatch.lines)


def _content(package: Mapping[str, Json]) -> dict[str, int]:
    return {
        text(item.get("orderItemId")): int(item.get("quantity") or 0) for item in objects(package.get("packageItems"))
    }
