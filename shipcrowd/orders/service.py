"""What is done to orders, besides taking them in (`taking_in`) and reading them (`queries`)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import clock, counters, events, tenancy
from shipcrowd.kernel.errors import Conflict, Invalid, NotFound
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.orders import pii
from shipcrowd.orders.events import OrdersChanged, OrdersPlaced
from shipcrowd.orders.models import ENDED, MOVES, IllegalMove, Order, OrderEvent, OrderLine, OrderReference, OrderState
from shipcrowd.orders.schemas import Fulfilment, ManualOrder, OrderEdit, Payment, SourceState
from shipcrowd.orders.taking_in import Imported, import_orders
from shipcrowd.pincodes.address import Address

__all__ = ["Imported", "import_orders"]

DUPLICATE_WITHIN = timedelta(hours=24)
OURS = "ours:"
"""Holds a person or a rule of ours put on; a channel's news leaves them alone."""


SAID_BY_THE_STORE: Mapping[SourceState, str] = {
    SourceState.on_hold: "the store holds this order back",
    SourceState.payment_pending: "the buyer has not paid yet",
}
"""What a store's own state keeps an order waiting for, in words."""


class OrderNotFound(NotFound):
    """There is no such order."""


class OrderAlreadyBooked(Conflict):
    """The order has a parcel; cancel the shipment first."""


class ShippedByMarketplace(Conflict):
    """The marketplace ships this order itself."""


class OrderNotBookable(Conflict):
    """The order cannot be booked as it stands."""


async def locked(session: AsyncSession, order_id: UUID) -> Order:
    """The order with its row locked. Orders are locked before shipments and accounts. Raises OrderNotFound."""
    found = await session.execute(select(Order).where(Order.id == order_id).with_for_update())
    order = found.scalar_one_or_none()
    if order is None:
        raise OrderNotFound
    return order


async def got(session: AsyncSession, order_id: UUID) -> Order:
    """The order, not locked. Raises OrderNotFound."""
    order = (await session.execute(select(Order).where(Order.id == order_id))).scalar_one_or_none()
    if order is None:
        raise OrderNotFound
    return order


async def lines_of(session: AsyncSession, order_id: UUID) -> Sequence[OrderLine]:
    return (
        (
            await session.execute(
                select(OrderLine).where(OrderLine.order_id == order_id).order_by(OrderLine.position, OrderLine.id)
            )
        )
        .scalars()
        .all()
    )


async def find_by_external(session: AsyncSession, connection_id: UUID, external_id: str) -> UUID | None:
    """Our id of a channel's order, when it is here."""
    return (
        await session.execute(
            select(Order.id).where(Order.connection_id == connection_id, Order.external_id == external_id)
        )
    ).scalar_one_or_none()


async def named(session: AsyncSession, connection_id: UUID, words: str) -> Sequence[Order]:
    """The store's orders that go by this number (with or without its `#`) or by one of the channel's ids; at most two,
    for more than one is one too many."""
    bare = words.strip().lstrip("#")
    query = select(Order).where(
        Order.connection_id == connection_id,
        or_(
            Order.external_id == words.strip(),
            Order.external_ref == words.strip(),
            Order.number.collate("C").in_([bare, f"#{bare}"]),
        ),
    )
    return (await session.execute(query.order_by(Order.id).limit(2))).scalars().all()


def tell(
    session: AsyncSession, order: Order, kind: str, words: str, *, actor: str, details: Mapping[str, Any] | None = None
) -> None:
    """Add to the order's timeline. `words` are read by people and hold no personal data."""
    session.add(
        OrderEvent(
            company_id=order.company_id,
            order_id=order.id,
            at=clock.now(),
            kind=kind,
            words=words,
            actor=actor,
            details=dict(details or {}),
        )
    )


def move(order: Order, to: OrderState) -> None:
    """Raises IllegalMove. Moving where it already is does nothing."""
    current = OrderState(order.state)
    if to is current:
        return
    if to not in MOVES[current]:
        raise IllegalMove(f"order {order.number} is {current}; it cannot become {to}")
    order.state = to
    order.updated_at = clock.now()
    order.ended_at = order.updated_at if to in ENDED else None


def end(order: Order) -> None:
    """Every parcel of the order came to an end, and none is to follow. Ending again changes nothing."""
    order.ended_at = order.ended_at or clock.now()


# --- by hand --------------------------------------------------------------------------------------------------------


async def create(session: AsyncSession, new: ManualOrder, *, actor: str, source: str = "manual") -> Order:
    """An order typed by hand or sent by the seller's own system. Raises Invalid for one that makes no sense."""
    company_id = tenancy.company_of(session)
    subtotal = Money.total(line.unit_price_paise * line.units for line in new.lines)
    total = subtotal - new.discount_paise + new.shipping_paise
    if total.paise < 0:
        raise Invalid("the discount is larger than the order", field="discount_paise")
    to_collect = new.to_collect_paise if new.to_collect_paise is not None else total
    if new.payment is Payment.cod and not 0 < to_collect.paise <= total.paise:
        raise Invalid("what the courier collects is more than nothing and at most the total", field="to_collect_paise")
    now = clock.now()
    order = Order(
        company_id=company_id,
        id=new_id(),
        source=source,
        connection_id=None,
        external_id=None,
        external_ref=new.reference,
        number=new.number or await counters.number(session, "ORD"),
        placed_at=now,
        source_updated_at=now,
        source_hash="",
        source_state=SourceState.open,
        state=OrderState.ready,
        payment=new.payment,
        currency="INR",
        subtotal_paise=subtotal,
        discount_paise=new.discount_paise,
        shipping_paise=new.shipping_paise,
        tax_paise=Money.total(line.tax_paise for line in new.lines),
        total_paise=total,
        to_collect_paise=to_collect if new.payment is Payment.cod else Money.zero,
        taxes_included=True,
        fulfilment=Fulfilment.seller,
        pii=b"",
        pii_withheld=False,
        gaps={},
        city="",
        province="",
        pincode="",
        country="",
        weight_grams=new.weight_grams,
        length_mm=new.length_mm,
        breadth_mm=new.breadth_mm,
        height_mm=new.height_mm,
        units=sum(line.units for line in new.lines),
        ship_by=new.ship_by,
        holds=[],
        tags=list(new.tags),
        test=False,
        updated_at=now,
    )
    lines = [
        OrderLine(
            company_id=company_id,
            order_id=order.id,
            position=position,
            external_id=str(position + 1),
            sku=line.sku,
            name=line.name,
            units=line.units,
            unit_price_paise=line.unit_price_paise,
            discount_paise=Money.zero,
            tax_paise=line.tax_paise,
            hsn=line.hsn,
            weight_grams=line.weight_grams,
            requires_shipping=True,
        )
        for position, line in enumerate(new.lines)
    ]
    if order.weight_grams is None and all(line.weight_grams for line in new.lines):
        order.weight_grams = sum((line.weight_grams or 0) * line.units for line in new.lines)
    _set_address(order, pii.Buyer(ship_to=new.ship_to, bill_to=new.bill_to, gstin=new.buyer_gstin, note=new.note))
    session.add(order)
    await session.flush()
    session.add_all(lines)
    tell(
        session,
        order,
        "placed",
        "Typed in by hand" if source == "manual" else "Came in by API" if source == "api" else f"Came in from {source}",
        actor=actor,
    )
    await session.flush()
    order.duplicate_of = await _numbered_alike(session, order) or await _duplicate_of(session, order)
    await events.publish(session, OrdersPlaced(company_id, (order.id,)))
    return order


def _set_address(order: Order, buyer: pii.Buyer) -> None:
    ship_to = buyer.ship_to or Address()
    order.city, order.province = ship_to.city, ship_to.state
    order.pincode, order.country = ship_to.pincode, ship_to.country
    gaps = {"currency": order.gaps["currency"]} if "currency" in order.gaps else {}
    order.gaps = gaps | (ship_to.gaps() if buyer.ship_to else {"ship_to": "the order has no shipping address"})
    pii.seal_into(order, buyer)


async def _numbered_alike(session: AsyncSession, order: Order) -> UUID | None:
    """The newest other order of this number: a store's order, it may be, that was typed in once more. Stores number
    by themselves, so that two orders may share a number; who looks for one is told."""
    query = (
        select(Order.id)
        .where(Order.number.collate("C") == order.number, Order.id != order.id, Order.state != OrderState.cancelled)
        .order_by(Order.placed_at.desc())
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none()


async def _duplicate_of(session: AsyncSession, order: Order) -> UUID | None:
    if order.phone_hash is None:
        return None
    return (
        await session.execute(
            select(Order.id)
            .where(
                Order.phone_hash == order.phone_hash,
                Order.total_paise == order.total_paise,
                Order.id != order.id,
                Order.state != OrderState.cancelled,
                Order.placed_at.between(order.placed_at - DUPLICATE_WITHIN, order.placed_at),
            )
            .order_by(Order.placed_at.desc())
            .limit(1)
        )
    ).scalar_one_or_none()


async def edit(session: AsyncSession, order_id: UUID, change: OrderEdit, *, actor: str) -> Order:
    """Change an order that has no parcel yet: its address, weight and size, tags. Later news from the channel leaves
    an address edited here alone. Raises OrderNotFound, OrderAlreadyBooked."""
    order = await locked(session, order_id)
    if order.state not in (OrderState.ready, OrderState.pending):
        raise OrderAlreadyBooked(f"order {order.number} is {order.state}")
    await _refuse_if_in_parcels(session, order)
    given = change.model_fields_set
    if "ship_to" in given and change.ship_to is not None:
        buyer = pii.buyer_of(order)
        _set_address(order, buyer.model_copy(update={"ship_to": change.ship_to}))
        order.address_edited = True
        order.pii_withheld = False
        order.redacted_at = None  # somebody is known again, and will be forgotten again
        tell(session, order, "address_changed", "The shipping address was changed here", actor=actor)
    for name in ("weight_grams", "length_mm", "breadth_mm", "height_mm", "ship_by"):
        if name in given:
            setattr(order, name, getattr(change, name))
    if given & {"weight_grams", "length_mm", "breadth_mm", "height_mm"}:
        tell(session, order, "package_changed", "Weight or size was changed", actor=actor)
    if "tags" in given and change.tags is not None:
        order.tags = sorted(set(change.tags))
    order.updated_at = clock.now()
    await events.publish(session, OrdersChanged(order.company_id, (order.id,)))
    return order


async def _refuse_if_in_parcels(session: AsyncSession, order: Order) -> None:
    some = select(OrderLine.id).where(OrderLine.order_id == order.id, OrderLine.units_booked > 0).limit(1)
    if await session.scalar(some):
        raise OrderAlreadyBooked(f"some units of order {order.number} are in a parcel; cancel its shipment first")


async def cancel(session: AsyncSession, order_id: UUID, *, reason: str, actor: str) -> Order:
    """Cancel an order that has no parcel, here: its store is not told. Raises OrderNotFound, ShippedByMarketplace,
    OrderAlreadyBooked, IllegalMove."""
    order = await locked(session, order_id)
    if order.fulfilment == Fulfilment.marketplace_warehouse:
        raise ShippedByMarketplace(f"The marketplace ships order {order.number} from its own warehouse.")
    if order.state in (OrderState.booked, OrderState.shipped):
        raise OrderAlreadyBooked(f"order {order.number} is {order.state}; cancel its shipment first")
    if order.state == OrderState.cancelled:
        return order
    await _refuse_if_in_parcels(session, order)
    move(order, OrderState.cancelled)
    order.updated_at = clock.now()
    tell(session, order, "cancelled", f"Cancelled: {reason}" if reason else "Cancelled", actor=actor)
    await events.publish(session, OrdersChanged(order.company_id, (order.id,)))
    return order


async def hold(session: AsyncSession, order_id: UUID, *, reason: str, actor: str) -> Order:
    """Keep an order from being booked until it is released. Raises OrderNotFound."""
    order = await locked(session, order_id)
    if f"{OURS}{reason}" not in order.holds:
        order.holds = [*order.holds, f"{OURS}{reason}"]
        tell(session, order, "held", f"Held: {reason}", actor=actor)
    return order


async def release(session: AsyncSession, order_id: UUID, *, actor: str) -> Order:
    """Take all holds of ours off; a channel's own holds stay until the channel lifts them. Raises OrderNotFound."""
    order = await locked(session, order_id)
    kept = [held for held in order.holds if not held.startswith(OURS)]
    if kept != order.holds:
        order.holds = kept
        tell(session, order, "released", "Holds were taken off", actor=actor)
    return order


async def lift(session: AsyncSession, order_id: UUID, *, reason: str) -> None:
    """Take one hold of ours off, the one put on for `reason`. Raises OrderNotFound."""
    order = await locked(session, order_id)
    order.holds = [held for held in order.holds if held != f"{OURS}{reason}"]


async def note(session: AsyncSession, order_id: UUID, *, words: str, actor: str) -> None:
    """Put a person's note on the timeline. Raises OrderNotFound."""
    order = await locked(session, order_id)
    tell(session, order, "note", words, actor=actor)


# --- for shipping ---------------------------------------------------------------------------------------------------


def why_not_bookable(order: Order) -> dict[str, str]:
    """Field → what keeps the order from being booked; empty when nothing does."""
    found = {str(field): str(words) for field, words in order.gaps.items()}
    if order.state == OrderState.pending:
        found["state"] = SAID_BY_THE_STORE.get(
            SourceState(order.source_state), f"the store says: {order.source_state.replace('_', ' ')}"
        )
    elif order.state != OrderState.ready:
        found["state"] = f"the order is {order.state}"
    if order.fulfilment == Fulfilment.marketplace_warehouse:
        found["fulfilment"] = "the marketplace ships this order from its own warehouse"
    # A store's own holds are told once: by its state, where that says so already.
    if holds := [held.removeprefix(OURS) for held in order.holds if held.startswith(OURS) or "state" not in found]:
        found["holds"] = "held: " + ", ".join(holds)
    if order.cancel_asked_at:
        found["cancelled"] = "the store cancelled this order"
    return found


async def allocate(
    session: AsyncSession, order: Order, wanted: Mapping[UUID, int] | None = None
) -> list[tuple[OrderLine, int]]:
    """Take units of the order's lines for a parcel: all that are open, or those `wanted` (line id → units).

    The order must be locked. Raises OrderNotBookable when units are not there, or nothing is left to ship.
    """
    taken: list[tuple[OrderLine, int]] = []
    lines = await lines_of(session, order.id)
    unknown = set(wanted or {}) - {line.id for line in lines}
    if unknown:
        raise OrderNotBookable("a line does not belong to this order", field="lines")
    for line in lines:
        open_units = open_units_of(line)
        units = open_units if wanted is None else wanted.get(line.id, 0)
        if units > open_units:
            raise OrderNotBookable(f"{line.name}: {open_units} units are left to ship, not {units}", field="lines")
        if units > 0:
            line.units_booked += units
            taken.append((line, units))
    if not taken:
        raise OrderNotBookable("nothing is left to ship in this order", field="lines")
    if all(open_units_of(line) == 0 for line in lines):
        move(order, OrderState.booked)
    order.updated_at = clock.now()
    return taken


def open_units_of(line: OrderLine) -> int:
    """Units that still need a parcel."""
    if not line.requires_shipping:
        return 0
    return max(line.units - line.units_elsewhere - line.units_booked, 0)


async def free(session: AsyncSession, order: Order, units: Mapping[UUID, int]) -> None:
    """Give a parcel's units (line id → units) back: its booking was refused or cancelled. The order must be locked."""
    lines = await lines_of(session, order.id)
    for line in lines:
        line.units_booked -= units.get(line.id, 0)
    if order.state in (OrderState.booked, OrderState.shipped):
        move(order, OrderState.ready)
    if order.state == OrderState.ready and order.cancel_asked_at and not any(line.units_booked for line in lines):
        move(order, OrderState.cancelled)
        tell(
            session,
            order,
            "cancelled",
            "Cancelled: the store had cancelled it, and no parcel goes out",
            actor="system",
        )
    order.updated_at = clock.now()


async def refer(session: AsyncSession, order: Order, reference: str) -> None:
    """Let the order be found by another number (an AWB)."""
    await session.execute(
        insert(OrderReference)
        .values(company_id=order.company_id, id=new_id(), order_id=order.id, reference=reference)
        .on_conflict_do_nothing()
    )


async def no_longer_refer(session: AsyncSession, order: Order, reference: str) -> None:
    """The other number was a mistake."""
    await session.execute(
        delete(OrderReference).where(OrderReference.order_id == order.id, OrderReference.reference == reference)
    )


# --- keeping --------------------------------------------------------------------------------------------------------


async def stats(session: AsyncSession) -> dict[str, int]:
    """Orders by state."""
    rows = await session.execute(text("SELECT state, count(*) FROM orders GROUP BY state"))
    return dict(rows.all())
