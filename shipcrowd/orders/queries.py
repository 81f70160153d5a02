"""Reading orders: the filtered list, one order whole, its timeline. No write happens here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Select, exists, or_, select, true, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from shipcrowd.kernel import pages, tenancy
from shipcrowd.kernel.clock import IST
from shipcrowd.orders import pii
from shipcrowd.orders.models import Order, OrderEvent, OrderLine, OrderReference, OrderState
from shipcrowd.orders.schemas import Payment
from shipcrowd.orders.service import got, lines_of

PINCODE_DIGITS = 6


class OrderFilter(BaseModel):
    """Filters of the orders list, named after the fields. Dates are Indian days, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: list[OrderState] = []
    source: str | None = Field(default=None, max_length=40)
    connection_id: UUID | None = None
    payment: Payment | None = None
    placed_from: pages.Day | None = None
    placed_to: pages.Day | None = None
    pincode: Annotated[str | None, Field(pattern=r"^\d{2,6}$")] = None
    sku: str | None = Field(default=None, min_length=1, max_length=120)
    tag: str | None = Field(default=None, max_length=60)
    text: str | None = Field(default=None, min_length=1, max_length=120)
    problem: Literal["yes", "no"] | None = None


@dataclass(frozen=True)
class OrderWhole:
    """One order with everything of it that a person may see."""

    order: Order
    buyer: pii.Buyer
    lines: Sequence[OrderLine]
    events: Sequence[OrderEvent]


def conditions(company_id: UUID, wanted: OrderFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state:
        found.append(Order.state.in_(wanted.state))
    if wanted.source:
        found.append(Order.source == wanted.source)
    if wanted.connection_id:
        found.append(Order.connection_id == wanted.connection_id)
    if wanted.payment:
        found.append(Order.payment == wanted.payment)
    if wanted.placed_from:
        found.append(Order.placed_at >= datetime.combine(wanted.placed_from, time(), IST))
    if wanted.placed_to:
        found.append(Order.placed_at < datetime.combine(wanted.placed_to + timedelta(days=1), time(), IST))
    if wanted.pincode:
        # A whole pincode by equality: its orders then come out of the index in the order of the list.
        whole = len(wanted.pincode) == PINCODE_DIGITS
        found.append(_is(Order.pincode, wanted.pincode) if whole else _begins(Order.pincode, wanted.pincode))
    if wanted.sku:
        found.append(
            exists().where(
                OrderLine.company_id == Order.company_id,
                OrderLine.order_id == Order.id,
                _is(OrderLine.sku, wanted.sku),
            )
        )
    if wanted.tag:
        found.append(Order.tags.contains([wanted.tag]))
    if wanted.problem:
        none = Order.gaps == {}
        found.append(none if wanted.problem == "no" else ~none)
    if wanted.text:
        found.append(Order.id.in_(_ids_matching(company_id, wanted.text.strip())))
    return found


def _is(column: InstrumentedAttribute[Any], value: str) -> ColumnElement[bool]:
    # Under the collation of the column's index, which is no use otherwise.
    return column.collate("C") == value


def _begins(column: InstrumentedAttribute[Any], prefix: str) -> ColumnElement[bool]:
    # Comparisons, not LIKE: row security lets only leak-proof operators use an index.
    collated = column.collate("C")
    return (collated >= prefix) & (collated < prefix + "\U0010ffff")


def _ids_matching(company_id: UUID, words: str) -> Select[UUID]:
    numbers = {words, words.lstrip("#"), f"#{words.lstrip('#')}"}
    parts: list[Select[UUID]] = [
        select(Order.id).where(Order.company_id == company_id, or_(*(_begins(Order.number, n) for n in numbers))),
        select(Order.id).where(Order.company_id == company_id, Order.external_id == words),
        select(OrderLine.order_id).where(OrderLine.company_id == company_id, _begins(OrderLine.sku, words)),
        select(OrderReference.order_id).where(
            OrderReference.company_id == company_id, OrderReference.reference == words
        ),
    ]
    for column, value in pii.hashes(company_id, words).items():
        parts.append(select(Order.id).where(Order.company_id == company_id, getattr(Order, column) == value))
    return select(union(*parts).subquery().c[0])


async def page_of(
    session: AsyncSession, wanted: OrderFilter, *, after: str | None, limit: int
) -> tuple[Sequence[Order], str | None]:
    """A page of orders, newest first, and the cursor of the next. One query."""
    company_id = tenancy.company_of(session)
    query = (
        select(Order)
        .where(Order.company_id == company_id, *conditions(company_id, wanted))
        .where(pages.older_than(Order.placed_at, Order.id, after) if after else true())
        .order_by(Order.placed_at.desc(), Order.id.desc())
        .limit(limit + 1)
    )
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda order: (order.placed_at, order.id))


async def whole(session: AsyncSession, order_id: UUID) -> OrderWhole:
    """One order with lines, buyer and timeline: three queries. Raises OrderNotFound."""
    order = await got(session, order_id)
    return OrderWhole(order, pii.buyer_of(order), await lines_of(session, order_id), await timeline(session, order_id))


async def timeline(session: AsyncSession, order_id: UUID, limit: int = 200) -> Sequence[OrderEvent]:
    """What happened to an order, newest first."""
    query = (
        select(OrderEvent)
        .where(OrderEvent.order_id == order_id)
        .order_by(OrderEvent.at.desc(), OrderEvent.id.desc())
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def lines_by_order(session: AsyncSession, order_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[OrderLine]]:
    """The lines of many orders in one query."""
    query = select(OrderLine).where(OrderLine.order_id.in_(order_ids)).order_by(OrderLine.position, OrderLine.id)
    found: dict[UUID, list[OrderLine]] = {order_id: [] for order_id in order_ids}
    for line in (await session.execute(query)).scalars():
        found[line.order_id].append(line)
    return found
