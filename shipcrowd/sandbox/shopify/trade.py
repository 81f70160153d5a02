"""What happens at a shop: orders are placed, changed, held, fulfilled and paid, whoever asks for it."""

from collections.abc import Sequence
from datetime import datetime

from shipcrowd.kernel import clock
from shipcrowd.sandbox.schemas import NewAddress, NewEdit
from shipcrowd.sandbox.shopify import payloads, stock
from shipcrowd.sandbox.shopify.goods import Location
from shipcrowd.sandbox.shopify.hooks import publish
from shipcrowd.sandbox.shopify.orders import (
    App,
    Fulfilment,
    FulfilmentEvent,
    FulfilmentLine,
    FulfilmentOrder,
    Hold,
    LineItem,
    MailingAddress,
    Order,
    Transaction,
)
from shipcrowd.sandbox.shopify.state import Shopify


class CannotTrade(ValueError):
    """The shop does not allow this; the message is what Shopify would say."""


# --- orders ---------------------------------------------------------------------------------------------------


def touch(order: Order) -> None:
    """Note that an order changed. Shopify counts in whole seconds, so two changes may bear the same time."""
    order.updated_at = max(clock.now().replace(microsecond=0), order.updated_at)
    order.indexed.append((clock.now(), order.updated_at))


def _changed(world: Shopify, order: Order, *topics: str) -> None:
    touch(order)
    for topic in ("orders/updated", *topics):
        publish(world, order.shop, topic, payloads.order(order))


def edit(world: Shopify, order: Order, change: NewEdit) -> None:
    """The merchant edits an order; raises CannotTrade for a cancelled one or for what is fulfilled already."""
    if order.cancelled_at:
        raise CannotTrade("A cancelled order cannot be edited.")
    for sku, quantity in change.quantities.items():
        line = next((one for one in order.lines if one.sku == sku), None)
        if line is None:
            raise CannotTrade(f"The order has no line {sku}.")
        _set_quantity(world, order, line, quantity)
    if change.shipping_address:
        order.shipping_address = typed_address(change.shipping_address)
    if change.note is not None:
        order.note = change.note
    _changed(world, order, *(["orders/edited"] if change.quantities else []))


def _set_quantity(world: Shopify, order: Order, line: LineItem, quantity: int) -> None:
    if quantity < line.fulfilled:
        raise CannotTrade("More than that is fulfilled already.")
    more = quantity - line.current_quantity
    line.current_quantity = quantity
    for fo in order.fulfilment_orders:
        for part in fo.lines:
            if part.line is line and part.remaining + more >= 0 and fo.status not in ("CLOSED", "CANCELLED"):
                part.remaining += more
                part.total += more
                stock.commit(world, order.shop, line, fo.location, more)
                if not any(one.remaining for one in fo.lines):
                    fo.status = "CLOSED"
                return


def cancel(world: Shopify, order: Order, *, reason: str, restock: bool, refund: bool) -> None:
    """Cancel a whole order; raises CannotTrade if it is cancelled or any of it is fulfilled."""
    if order.cancelled_at:
        raise CannotTrade("Order has already been cancelled.")
    if any(parcel.status == "SUCCESS" for parcel in order.fulfilments):
        raise CannotTrade("Cannot cancel an order with fulfilled items.")
    order.cancelled_at = order.closed_at = clock.now().replace(microsecond=0)
    order.cancel_reason = reason
    if refund:
        order.refunded = order.received
    for fo in order.fulfilment_orders:
        if fo.status not in ("CLOSED", "CANCELLED"):
            fo.status = "CANCELLED"
            for part in fo.lines:
                stock.uncommit(world, order.shop, part.line, fo.location, part.remaining, restock=restock)
                part.remaining = 0
            publish(world, order.shop, "fulfillment_orders/cancelled", payloads.fulfilment_order(fo))
    _changed(world, order, "orders/cancelled")


def mark_paid(world: Shopify, order: Order) -> None:
    """Raises CannotTrade when there is nothing left to pay."""
    if order.cancelled_at or not order.outstanding:
        raise CannotTrade("Order cannot be marked as paid.")
    gateway = order.gateways[0] if order.gateways else "manual"
    order.transactions = [one for one in order.transactions if one.status != "PENDING"]
    order.transactions.append(Transaction(world.ids(), "SALE", "SUCCESS", gateway, True, order.outstanding))
    _changed(world, order, "orders/paid")


def tag(world: Shopify, order: Order, tags: Sequence[str]) -> None:
    fresh = [one.strip() for one in tags if one.strip() and one.strip() not in order.tags]
    if fresh:
        order.tags = sorted([*order.tags, *fresh])
        _changed(world, order)


def delete(world: Shopify, order: Order) -> None:
    del order.shop.orders[order.id]
    publish(world, order.shop, "orders/delete", {"id": order.id})


# --- fulfilment orders ----------------------------------------------------------------------------------------


def hold(world: Shopify, fo: FulfilmentOrder, *, reason: str, note: str = "", app: App | None = None) -> Hold:
    """Raises CannotTrade unless the fulfilment order is open or held already."""
    if fo.status not in ("OPEN", "ON_HOLD", "SCHEDULED", "IN_PROGRESS"):
        raise CannotTrade("The fulfillment order is not in a holdable state.")
    made = Hold(world.ids(), reason, note, app)
    fo.holds.append(made)
    fo.status = "ON_HOLD"
    publish(world, fo.order.shop, "fulfillment_orders/placed_on_hold", payloads.fulfilment_order(fo))
    _changed(world, fo.order)
    return made


def release(world: Shopify, fo: FulfilmentOrder, holds: Sequence[Hold] | None = None) -> None:
    """Raises CannotTrade when it is not held."""
    if fo.status != "ON_HOLD":
        raise CannotTrade("The fulfillment order is not on hold.")
    gone = list(holds) if holds is not None else list(fo.holds)
    fo.holds = [one for one in fo.holds if one not in gone]
    if not fo.holds:
        fo.status = "OPEN"
        publish(world, fo.order.shop, "fulfillment_orders/hold_released", payloads.fulfilment_order(fo))
    _changed(world, fo.order)


def open_scheduled(world: Shopify, fo: FulfilmentOrder) -> None:
    if fo.status != "SCHEDULED":
        raise CannotTrade("The fulfillment order is not scheduled.")
    fo.status = "OPEN"
    fo.fulfill_at = None
    _changed(world, fo.order)


# --- fulfilments ----------------------------------------------------------------------------------------------


def fulfil(
    world: Shopify,
    asked: Sequence[tuple[FulfilmentOrder, Sequence[tuple[FulfilmentLine, int]]]],
    *,
    company: str | None,
    numbers: Sequence[str],
    urls: Sequence[str],
) -> Fulfilment:
    """Ship lines of fulfilment orders of one order and location; raises CannotTrade in Shopify's words."""
    order, location = asked[0][0].order, asked[0][0].location
    if any(fo.order is not order for fo, _ in asked):
        raise CannotTrade("All fulfillment orders must belong to the same order.")
    if any(fo.location is not location for fo, _ in asked):
        raise CannotTrade("All fulfillment orders must be assigned to the same location.")
    for fo, parts in asked:
        if fo.status not in ("OPEN", "IN_PROGRESS"):
            raise CannotTrade(f"Fulfillment order {fo.id} has an unfulfillable status= {fo.status.lower()}.")
        if fo.request_status in ("SUBMITTED", "ACCEPTED"):
            raise CannotTrade(f"Fulfillment order {fo.id} is assigned to another fulfillment service.")
        if any(not 0 < units <= part.remaining for part, units in parts) or not parts:
            raise CannotTrade("Invalid fulfillment order line item quantity requested.")
    now = clock.now().replace(microsecond=0)
    parcel = Fulfilment(
        id=world.ids(),
        order=order,
        name=f"{order.name}.{len(order.fulfilments) + 1}",
        location=location,
        lines=[(part.line, units) for _, parts in asked for part, units in parts],
        created_at=now,
        updated_at=now,
        company=company,
        numbers=tuple(numbers),
        urls=tuple(urls),
    )
    for fo, parts in asked:
        for part, units in parts:
            part.remaining -= units
            part.line.fulfilled += units
            stock.ship(world, order.shop, part.line, location, units)
        _settle(world, fo)
    order.fulfilments.append(parcel)
    order.shop.fulfilments[parcel.id] = parcel
    publish(world, order.shop, "fulfillments/create", payloads.fulfilment(parcel))
    left = sum(line.unfulfilled for line in order.lines)
    _changed(world, order, "orders/partially_fulfilled" if left else "orders/fulfilled")
    return parcel


def _settle(world: Shopify, fo: FulfilmentOrder) -> None:
    """After a fulfilment: close it; what is left moves to a new fulfilment order, unless the shop keeps it here."""
    left = [part for part in fo.lines if part.remaining]
    if not left:
        fo.status = "CLOSED"
    elif not world.knobs.split_remainder:
        fo.status = "IN_PROGRESS"
    else:
        new_fo(world, fo.order, fo.location, [(part.line, part.remaining) for part in left], like=fo)
        for part in left:
            part.total -= part.remaining
            part.remaining = 0
        fo.status = "CLOSED"


def retrack(
    world: Shopify, parcel: Fulfilment, company: str | None, numbers: Sequence[str], urls: Sequence[str]
) -> None:
    """Raises CannotTrade for a cancelled fulfilment."""
    if parcel.status != "SUCCESS":
        raise CannotTrade("Fulfillment is cancelled.")
    parcel.company, parcel.numbers, parcel.urls = company, tuple(numbers), tuple(urls)
    _parcel_changed(world, parcel)


def cancel_fulfilment(world: Shopify, parcel: Fulfilment) -> None:
    """Take a fulfilment back: its lines wait again, in a new fulfilment order."""
    if parcel.status == "CANCELLED":
        raise CannotTrade("Fulfillment is already cancelled.")
    parcel.status = "CANCELLED"
    for line, units in parcel.lines:
        line.fulfilled -= units
        stock.unship(world, parcel.order.shop, line, parcel.location, units)
    new_fo(world, parcel.order, parcel.location, parcel.lines, like=None)
    _parcel_changed(world, parcel)


def add_event(world: Shopify, parcel: Fulfilment, event: FulfilmentEvent) -> None:
    if parcel.status != "SUCCESS":
        raise CannotTrade("Fulfillment is cancelled.")
    parcel.events.append(event)
    publish(
        world, parcel.order.shop, "fulfillment_events/create", payloads.fulfilment_event(parcel, event)
    )  # fmt: skip
    _parcel_changed(world, parcel)


def _parcel_changed(world: Shopify, parcel: Fulfilment) -> None:
    parcel.updated_at = clock.now().replace(microsecond=0)
    publish(world, parcel.order.shop, "fulfillments/update", payloads.fulfilment(parcel))
    _changed(world, parcel.order)


def typed_address(typed: NewAddress) -> MailingAddress:
    return MailingAddress(
        typed.first_name,
        typed.last_name,
        typed.company,
        typed.address1,
        typed.address2,
        typed.city,
        typed.province,
        typed.province_code,
        typed.zip,
        typed.country,
        typed.country_code,
        typed.phone,
    )


def new_fo(
    world: Shopify,
    order: Order,
    location: Location,
    lines: Sequence[tuple[LineItem, int]],
    *,
    like: FulfilmentOrder | None,
) -> FulfilmentOrder:
    parts = [FulfilmentLine(world.ids(), line, units, units) for line, units in lines]
    fo = FulfilmentOrder(world.ids(), order, location, parts)
    if like:
        fo.method, fo.request_status = like.method, like.request_status
    order.fulfilment_orders.append(fo)
    order.shop.fulfilment_orders[fo.id] = fo
    return fo


def event(
    world: Shopify,
    status: str,
    happened_at: datetime | None,
    message: str | None,
    place: tuple[str | None, str | None, str | None, str | None],
) -> FulfilmentEvent:
    """A milestone as the API takes it; `place` is city, province, country, zip."""
    at = (happened_at or clock.now()).replace(microsecond=0)
    return FulfilmentEvent(world.ids(), status, at, message, *place)
