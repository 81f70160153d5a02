"""Orders over HTTP: parse, one call, answer."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, Field

from shipcrowd.identity.api import May, Member
from shipcrowd.kernel import idempotency, pages, tenancy
from shipcrowd.orders import pii, queries, service
from shipcrowd.orders.models import Order, OrderEvent, OrderLine
from shipcrowd.orders.queries import OrderFilter
from shipcrowd.orders.schemas import Input, ManualOrder, OrderEdit
from shipcrowd.pincodes.address import Address

router = APIRouter(prefix="/orders", tags=["orders"])

Reads = Annotated[Member, May("orders:read")]
Writes = Annotated[Member, May("orders:write")]


class OrderOut(BaseModel):
    """An order in a list. `problems` says what keeps it from being booked, by field."""

    id: UUID
    number: str
    source: str
    connection_id: UUID | None
    external_id: str | None
    placed_at: datetime
    state: str
    source_state: str
    payment: str
    currency: str
    total_paise: int
    to_collect_paise: int
    fulfilment: str
    name: str
    city: str
    state_name: str
    pincode: str
    country: str
    units: int
    weight_grams: int | None
    length_mm: int | None
    breadth_mm: int | None
    height_mm: int | None
    ship_by: datetime | None
    holds: list[str]
    tags: list[str]
    test: bool
    duplicate_of: UUID | None
    problems: dict[str, str]


class LineOut(BaseModel):
    id: UUID
    external_id: str
    sku: str | None
    name: str
    variant: str | None
    units: int
    units_booked: int
    units_open: int
    unit_price_paise: int
    discount_paise: int
    tax_paise: int
    hsn: str | None
    weight_grams: int | None


class EventOut(BaseModel):
    at: datetime
    kind: str
    words: str
    actor: str


class OrderWholeOut(OrderOut):
    subtotal_paise: int
    discount_paise: int
    shipping_paise: int
    tax_paise: int
    ship_to: Address | None
    bill_to: Address | None
    buyer_gstin: str | None
    note: str
    lines: list[LineOut]
    timeline: list[EventOut]


class OrderList(OrderFilter, pages.Keyset):
    """Filters and the page wanted."""


class Reason(Input):
    reason: str = Field(min_length=1, max_length=300)


class Words(Input):
    words: str = Field(min_length=1, max_length=2000)


def order_facts(order: Order, buyer: pii.Buyer) -> dict[str, Any]:
    return {
        "id": order.id,
        "number": order.number,
        "source": order.source,
        "connection_id": order.connection_id,
        "external_id": order.external_id,
        "placed_at": order.placed_at,
        "state": order.state,
        "source_state": order.source_state,
        "payment": order.payment,
        "currency": order.currency,
        "total_paise": order.total_paise.paise,
        "to_collect_paise": order.to_collect_paise.paise,
        "fulfilment": order.fulfilment,
        "name": buyer.ship_to.name if buyer.ship_to else "",
        "city": order.city,
        "state_name": order.province,
        "pincode": order.pincode,
        "country": order.country,
        "units": order.units,
        "weight_grams": order.weight_grams,
        "length_mm": order.length_mm,
        "breadth_mm": order.breadth_mm,
        "height_mm": order.height_mm,
        "ship_by": order.ship_by,
        "holds": [held.removeprefix(service.OURS) for held in order.holds],
        "tags": order.tags,
        "test": order.test,
        "duplicate_of": order.duplicate_of,
        "problems": service.why_not_bookable(order),
    }


def order_out(order: Order) -> OrderOut:
    return OrderOut(**order_facts(order, pii.buyer_of(order)))


def line_out(line: OrderLine) -> LineOut:
    return LineOut(
        id=line.id,
        external_id=line.external_id,
        sku=line.sku,
        name=line.name,
        variant=line.variant,
        units=line.units,
        units_booked=line.units_booked,
        units_open=service.open_units_of(line),
        unit_price_paise=line.unit_price_paise.paise,
        discount_paise=line.discount_paise.paise,
        tax_paise=line.tax_paise.paise,
        hsn=line.hsn,
        weight_grams=line.weight_grams,
    )


def event_out(event: OrderEvent) -> EventOut:
    return EventOut(at=event.at, kind=event.kind, words=event.words, actor=event.actor)


def whole_out(found: queries.OrderWhole) -> OrderWholeOut:
    order, buyer = found.order, found.buyer
    return OrderWholeOut(
        **order_facts(order, buyer),
        subtotal_paise=order.subtotal_paise.paise,
        discount_paise=order.discount_paise.paise,
        shipping_paise=order.shipping_paise.paise,
        tax_paise=order.tax_paise.paise,
        ship_to=buyer.ship_to,
        bill_to=buyer.bill_to,
        buyer_gstin=buyer.gstin,
        note=buyer.note,
        lines=[line_out(line) for line in found.lines],
        timeline=[event_out(event) for event in found.events],
    )


@router.get("")
async def list_orders(who: Reads, wanted: Annotated[OrderList, Query()]) -> pages.Page[OrderOut]:
    """Orders, newest first."""
    async with tenancy.acting_for(who.company_id) as session:
        rows, following = await queries.page_of(session, wanted, after=wanted.after, limit=wanted.limit)
    return pages.Page(items=[order_out(order) for order in rows], next=following)


@router.post("", status_code=201)
async def create_order(
    who: Writes, new: ManualOrder, request: Request, idempotency_key: Annotated[str | None, Header()] = None
) -> OrderWholeOut:
    """An order typed by hand, or sent by your own system."""
    async with tenancy.acting_for(who.company_id) as session:

        async def work() -> Any:
            order = await service.create(session, new, actor=who.actor, source="api" if who.api_key_id else "manual")
            return whole_out(await queries.whole(session, order.id)).model_dump(mode="json")

        answer = await idempotency.once(
            session, route="POST /orders", key=idempotency_key, body=await request.body(), work=work
        )
    return OrderWholeOut.model_validate(answer)


@router.get("/{order_id}")
async def get_order(who: Reads, order_id: UUID) -> OrderWholeOut:
    async with tenancy.acting_for(who.company_id) as session:
        return whole_out(await queries.whole(session, order_id))


@router.patch("/{order_id}")
async def edit_order(who: Writes, order_id: UUID, change: OrderEdit) -> OrderWholeOut:
    """Fix the address, weight, size or tags of an order that has no parcel."""
    async with tenancy.acting_for(who.company_id) as session:
        await service.edit(session, order_id, change, actor=who.actor)
        await session.flush()
        return whole_out(await queries.whole(session, order_id))


@router.post("/{order_id}/cancel")
async def cancel_order(who: Writes, order_id: UUID, why: Reason) -> OrderWholeOut:
    async with tenancy.acting_for(who.company_id) as session:
        await service.cancel(session, order_id, reason=why.reason, actor=who.actor)
        await session.flush()
        return whole_out(await queries.whole(session, order_id))


@router.post("/{order_id}/hold")
async def hold_order(who: Writes, order_id: UUID, why: Reason) -> OrderWholeOut:
    """Keep the order from being booked."""
    async with tenancy.acting_for(who.company_id) as session:
        await service.hold(session, order_id, reason=why.reason, actor=who.actor)
        await session.flush()
        return whole_out(await queries.whole(session, order_id))


@router.post("/{order_id}/release")
async def release_order(who: Writes, order_id: UUID) -> OrderWholeOut:
    async with tenancy.acting_for(who.company_id) as session:
        await service.release(session, order_id, actor=who.actor)
        await session.flush()
        return whole_out(await queries.whole(session, order_id))


@router.post("/{order_id}/notes", status_code=201)
async def note_order(who: Writes, order_id: UUID, note: Words) -> list[EventOut]:
    """Put a note on the timeline; the timeline."""
    async with tenancy.acting_for(who.company_id) as session:
        await service.note(session, order_id, words=note.words, actor=who.actor)
        await session.flush()
        return [event_out(event) for event in await queries.timeline(session, order_id)]
