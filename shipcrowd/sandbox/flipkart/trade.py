"""What can happen to a shipment, by the seller, the buyer, Flipkart's packing and its drivers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart import notices
from shipcrowd.sandbox.flipkart.state import PROGRESS, Item, Seller, Shipment, World, touch

NEXT = {
    "READY_TO_DISPATCH": "PICKUP_COMPLETE",
    "PICKUP_COMPLETE": "SHIPPED",
    "SHIPPED": "DELIVERED",
    "DELIVERED": "COMPLETED",
}
"""What Flipkart's drivers do next, when nothing goes wrong."""

NOT_PACKED_YET = ("APPROVED", "PACKING_IN_PROGRESS", "FORM_FAILED")
WITH_BUYER = ("DELIVERED", "COMPLETED")
PAISA = Decimal("0.01")


class CannotHappen(ValueError):
    """The shipment is past that, or not there yet."""


def advance(world: World, seller: Seller, shipment: Shipment, status: str, at: datetime | None = None) -> None:
    """Bring all live items to `status` and tell the seller."""
    for item in shipment.live:
        item.status = status
    touch(seller, shipment, at)
    notices.moved(world, seller, shipment)


def move(world: World, seller: Seller, shipment: Shipment) -> str:
    """One step by Flipkart, its drivers or (self-ship) nobody; raises CannotHappen where the seller must act first."""
    if shipment.status == "PACKING_IN_PROGRESS":
        pack(world, seller, shipment, clock.now())
        return shipment.status
    following = NEXT.get(shipment.status)
    if shipment.self_ship and shipment.status != "DELIVERED":
        raise CannotHappen(f"{shipment.id} is {shipment.status} and moved by its seller")
    if following is None and shipment.fbf and shipment.status == "APPROVED":
        following = "READY_TO_DISPATCH"
    if following is None:
        raise CannotHappen(f"{shipment.id} is {shipment.status}; nothing happens to it by itself")
    if shipment.hold and shipment.status in ("APPROVED", "READY_TO_DISPATCH"):
        raise CannotHappen(f"{shipment.id} is on hold")
    advance(world, seller, shipment, following)
    return following


def start_packing(world: World, seller: Seller, shipment: Shipment) -> None:
    """Label and invoice are made a while later; `pack` ends it."""
    advance(world, seller, shipment, "PACKING_IN_PROGRESS")
    world.later(world.knobs.pack_seconds, partial(pack, world, seller, shipment))


def pack(world: World, seller: Seller, shipment: Shipment, at: datetime) -> None:
    """The papers are there, or a form is wanting. Nothing if it was cancelled or packed meanwhile."""
    if shipment.status != "PACKING_IN_PROGRESS":
        return
    fails = world.knobs.pack_fails
    if shipment.form is None and fails and world.random.random() < fails:
        shipment.form = "STATE_WAYBILL"
    if shipment.form and not shipment.form_acknowledged:
        advance(world, seller, shipment, "FORM_FAILED", at)
        return
    shipment.awb = f"FMPC{world.digits(10)}"
    shipment.courier = "E-Kart Logistics"
    shipment.invoice_number = shipment.invoice_number or f"FAK{world.digits(10)}"
    shipment.packed_at = shipment.label_at = at
    advance(world, seller, shipment, "PACKED", at)


def send_off(seller: Seller, shipment: Shipment) -> None:
    """The units leave: they stand in no location's inventory any more."""
    shipment.dispatched_at = clock.now()
    for item in shipment.live:
        if item.listing.stock and (at := item.listing.stock.get(shipment.location.id)):
            at.inventory = max(at.inventory - item.quantity, 0)


def hold(world: World, seller: Seller, shipment: Shipment, quantities: Mapping[str, int]) -> None:
    """A check of the order; raises CannotHappen once it was picked up."""
    if shipment.status == "CANCELLED" or PROGRESS.index(shipment.status) > PROGRESS.index("READY_TO_DISPATCH"):
        raise CannotHappen(f"{shipment.id} is {shipment.status} and cannot be held")
    for item in shipment.live:
        item.held = min(quantities.get(item.listing.sku, 0) if quantities else item.quantity, item.quantity)
    if not any(item.held for item in shipment.live):
        raise CannotHappen("nothing of that is in the shipment")
    shipment.hold = True
    touch(seller, shipment)
    notices.held(world, seller, shipment)


def release(world: World, seller: Seller, shipment: Shipment) -> None:
    if not shipment.hold:
        raise CannotHappen(f"{shipment.id} is not on hold")
    for item in shipment.items:
        item.held = 0
    shipment.hold = False
    touch(seller, shipment)
    notices.released(world, seller, shipment)


def change_dates(world: World, seller: Seller, shipment: Shipment, after: datetime | None, by: datetime | None) -> None:
    shipment.dispatch_after, shipment.dispatch_by = after or shipment.dispatch_after, by or shipment.dispatch_by
    touch(seller, shipment)
    notices.dates_changed(world, seller, shipment)


def cancel(
    world: World,
    seller: Seller,
    shipment: Shipment,
    wanted: Sequence[tuple[Item, int]],
    *,
    by: str,
    reason: str,
    sub_reason: str | None = None,
) -> None:
    """Cancel units of items, all or a part; raises CannotHappen once the shipment was shipped."""
    if shipment.status == "CANCELLED" or PROGRESS.index(shipment.status) >= PROGRESS.index("SHIPPED"):
        raise CannotHappen(f"{shipment.id} is {shipment.status} and cannot be cancelled")
    if not wanted:
        raise CannotHappen("nothing of that is in the shipment")
    for item, units in wanted:
        if not item.live or not 1 <= units <= item.quantity:
            raise CannotHappen(f"{units} of {item.listing.sku} cannot be cancelled")
    gone: list[tuple[Item, int]] = []
    for item, units in wanted:
        part = item if units == item.quantity else _split_off(item, units)
        part.status, part.cancelled_at, part.cancelled_by = "CANCELLED", clock.now(), by
        part.reason, part.sub_reason, part.held = reason, sub_reason, 0
        if part is not item and world.knobs.partial_cancel == "split":
            shipment.items.append(part)
        gone.append((part, units))
    if not shipment.live:
        shipment.hold = False
    touch(seller, shipment)
    notices.cancelled(world, seller, shipment, gone)


def _split_off(item: Item, units: int) -> Item:
    """Take `units` out of an item, with their share of its prices."""
    left = item.quantity - units

    def share(amount: Decimal) -> Decimal:
        return (amount * left / item.quantity).quantize(PAISA, ROUND_HALF_UP)

    kept = {
        "selling_price": share(item.selling_price),
        "shipping": share(item.shipping),
        "discount": share(item.discount),
    }
    part = replace(
        item,
        quantity=units,
        selling_price=item.selling_price - kept["selling_price"],
        shipping=item.shipping - kept["shipping"],
        discount=item.discount - kept["discount"],
    )
    item.quantity, item.held = left, min(item.held, left)
    item.selling_price, item.shipping, item.discount = kept["selling_price"], kept["shipping"], kept["discount"]
    return part
