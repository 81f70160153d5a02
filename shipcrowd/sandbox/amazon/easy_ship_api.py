"""Easy Ship 2022-03-23: hand-over slots that do not wait for ever, and the package scheduled into one."""

from datetime import datetime, time, timedelta

from shipcrowd.kernel import clock
from shipcrowd.sandbox.amazon import trade
from shipcrowd.sandbox.amazon.call import Answer, Body, Call, Refused, invalid, record, records, stamp
from shipcrowd.sandbox.amazon.orders import EasyShip, Order
from shipcrowd.sandbox.amazon.state import Slot

LEAST_GRAMS = 11
DAYS_OFFERED = 3
MOVABLE = frozenset(("PendingPickUp", "PendingDropOff"))

STATUSES: dict[str, str] = {
    "PendingPickUp": "ReadyForPickup",
    "PendingDropOff": "ReadyForPickup",
    "LabelCanceled": "LabelCanceled",
    "PickedUp": "PickedUp",
    "DroppedOff": "PickedUp",
    "AtOriginFC": "AtOriginFC",
    "AtDestinationFC": "AtDestinationFC",
    "OutForDelivery": "OutForDelivery",
    "Delivered": "Delivered",
    "RejectedByBuyer": "Rejected",
    "Undeliverable": "Undeliverable",
    "ReturningToSeller": "Undeliverable",
    "ReturnedToSeller": "ReturnedToSeller",
    "Lost": "LostInTransit",
    "Damaged": "DamagedInTransit",
}
"""v0's word for where a package is → this API's."""


def list_slots(call: Call) -> Answer:
    """Pickups of the next days. A slot may be taken for a quarter of an hour after it was offered."""
    order, easy_ship = _order(call, call.body.get("amazonOrderId"), call.body.get("marketplaceId"))
    size, weight = record(call.body.get("packageDimensions")), record(call.body.get("packageWeight"))
    if any(not _at_least(size.get(side), 0.01) for side in ("length", "width", "height")) or size.get("unit") != "cm":
        raise _unreadable()
    if not _at_least(weight.get("value"), LEAST_GRAMS) or weight.get("unit") not in ("g", "grams"):
        raise _unreadable()
    if order.status != "UNSHIPPED":
        raise invalid("The order is in a state that cannot be scheduled.", code="InvalidOrderState")
    easy_ship.size, easy_ship.weight = size, weight
    today = clock.ist(call.now).date()
    until = call.now + timedelta(seconds=call.world.knobs.slot_seconds)
    slots: list[Slot] = []
    for day in range(DAYS_OFFERED):
        starts = datetime.combine(today + timedelta(days=day + 1), time(10), clock.IST)
        slot = Slot("AQ" + call.world.code(30), order.id, starts, starts + timedelta(hours=3), until)
        call.world.slots[slot.id] = slot
        slots.append(slot)
    return Answer({"amazonOrderId": order.id, "timeSlots": [_slot(one) for one in slots]})


def create_package(call: Call) -> Answer:
    order, _ = _order(call, call.body.get("amazonOrderId"), call.body.get("marketplaceId"))
    return Answer(_package(order, _schedule(call, order, record(call.body.get("packageDetails")))))


def _schedule(call: Call, order: Order, details: Body) -> EasyShip:
    easy_ship = order.easy_ship
    assert easy_ship is not None, "asked of Easy Ship orders only"
    if easy_ship.package_id and easy_ship.status != "LabelCanceled":
        raise invalid("A scheduled package already exists for this order.", code="ScheduledPackageAlreadyExists")
    if order.status != "UNSHIPPED":
        raise invalid("The order is in a state that cannot be scheduled.", code="InvalidOrderState")
    slot = _taken(call, order, details)
    items = records(details.get("packageItems"))
    if any(order.item(str(one.get("orderItemId"))) is None for one in items):
        raise _unreadable()
    easy_ship.package_id, easy_ship.tracking = call.world.uuid(), call.world.digits(12)
    easy_ship.slot, easy_ship.items, easy_ship.scheduled_at = _slot(slot), items, call.now
    easy_ship.status = "PendingDropOff" if easy_ship.slot["handoverMethod"] == "DROPOFF" else "PendingPickUp"
    trade.change(call.world, order, order.status, f"Easy Ship status is {easy_ship.status}")
    return easy_ship


def get_package(call: Call) -> Answer:
    order, easy_ship = _order(call, call.query.get("amazonOrderId"), call.query.get("marketplaceId"))
    if easy_ship.package_id is None:
        raise _unknown()
    return Answer(_package(order, easy_ship))


def update_packages(call: Call) -> Answer:
    """Other slots for packages that were not handed over yet: all of them, or none."""
    asked = records(call.body.get("updatePackageDetailsList"))
    if not asked:
        raise _unreadable()
    moves: list[tuple[Order, EasyShip, Slot]] = []
    for one in asked:
        named = record(one.get("scheduledPackageId"))
        order, easy_ship = _order(call, named.get("amazonOrderId"), call.body.get("marketplaceId"))
        if easy_ship.package_id is None or named.get("packageId") not in (None, easy_ship.package_id):
            raise _unknown()
        if easy_ship.status not in MOVABLE:
            text = "The package cannot be rescheduled any more."
            raise invalid(text, code="OrderNotEligibleForRescheduling")
        moves.append((order, easy_ship, _taken(call, order, one)))
    for order, easy_ship, slot in moves:
        easy_ship.slot = _slot(slot)
        trade.touch(call.world, order)
    return Answer({"packages": [_package(order, easy_ship) for order, easy_ship, _ in moves]})


def _order(call: Call, order_id: object, marketplace: object) -> tuple[Order, EasyShip]:
    if not isinstance(order_id, str) or not order_id or not isinstance(marketplace, str) or not marketplace:
        raise _unreadable()
    order = call.seller.orders.get(order_id)
    if order is None or order.marketplace != marketplace or order.easy_ship is None:
        raise _unknown()
    return order, order.easy_ship


def _taken(call: Call, order: Order, details: Body) -> Slot:
    """The slot asked for; an offer that ran out, or whose time has begun, cannot be taken."""
    named = record(details.get("packageTimeSlot")).get("slotId")
    if not isinstance(named, str) or not named:
        raise _unreadable()
    slot = call.world.slots.get(named)
    if slot is None or slot.order_id != order.id:
        raise invalid("The time slot is invalid.", code="InvalidTimeSlotId")
    if slot.offered_until <= call.now or slot.start <= call.now:
        raise invalid("The selected time slot has expired.", code="ScheduleWindowExpired")
    return slot


def _at_least(value: object, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= least


def _unreadable() -> Refused:
    return invalid("Request has missing or invalid parameters and cannot be parsed.")


def _unknown() -> Refused:
    text = "The specified resource (for example, `AmazonOrderId` or `MarketplaceId`) does not exist."
    return invalid(text, code="ResourceNotFound")


def _slot(it: Slot) -> dict[str, str]:
    return {"slotId": it.id, "startTime": stamp(it.start), "endTime": stamp(it.end), "handoverMethod": "PICKUP"}


def _package(order: Order, it: EasyShip) -> Body:
    return {
        "scheduledPackageId": {"amazonOrderId": order.id, "packageId": it.package_id},
        "packageDimensions": it.size,
        "packageWeight": it.weight,
        "packageTimeSlot": it.slot,
        **({"packageItems": it.items} if it.items else {}),
        "packageStatus": STATUSES[it.status],
        "trackingDetails": {"trackingId": it.tracking},
        "invoice": {"invoiceNumber": f"IN-{order.id[-7:]}", "invoiceDate": stamp(it.scheduled_at or order.created_at)},
    }
