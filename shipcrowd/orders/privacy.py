"""Who bought is forgotten: when the store says so, and by age. Always in bounded steps, each a transaction of its own.

What goes is the sealed buyer, the hashes it is found by, and the words people wrote on the timeline; the order, its
money, city, state and pincode stay. Whoever holds more of these orders' buyers hears `BuyersRedacted`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import clock, events, pages, tenancy
from shipcrowd.kernel.events import IDS_A_MESSAGE
from shipcrowd.orders import pii
from shipcrowd.orders.events import BuyersRedacted
from shipcrowd.orders.models import Order, OrderEvent
from shipcrowd.orders.retention import MOST_DAYS, days
from shipcrowd.orders.service import OURS, tell

Whose = ColumnElement[bool]
"""Which orders are meant."""

STEP = IDS_A_MESSAGE
"""Orders one step looks at."""

GAP = "the buyer's data was removed; type the address to ship it again"

WRITTEN: Mapping[str, str] = {
    "note": "A note, removed with the buyer's data",
    "cancelled": "Cancelled",
    "held": "Held",
}
"""Entries of the timeline in which people write freely, and what is left of them."""


async def redact(session: AsyncSession, whose: Whose, *, after: str = "", limit: int = STEP) -> tuple[int, str | None]:
    """Forget the buyers of the next `limit` of a store's orders: how many were, and where to go on.

    `whose` is made by `of_buyer` or `of_store`. Done twice, it is done once.
    """
    query = (
        select(Order)
        .where(whose, Order.redacted_at.is_(None), Order.external_id > after)
        .order_by(Order.external_id)  # as pages of orders are locked when they come in
        .limit(limit)
        .with_for_update()
    )
    found = (await session.execute(query)).scalars().all()
    await _forget(session, found, "The buyer's data was removed on request")
    return len(found), found[-1].external_id if len(found) == limit else None


def of_store(company_id: UUID, connection_id: UUID) -> Whose:
    """All orders of a store."""
    return and_(Order.company_id == company_id, Order.connection_id == connection_id)


def of_buyer(
    company_id: UUID, connection_id: UUID, *, external_ids: Sequence[str], email: str | None, phone: str | None
) -> Whose:
    """A store's orders that are named, or are of this e-mail address or phone. None of them: no orders."""
    matches: list[ColumnElement[bool]] = [Order.external_id.in_(list(external_ids))] if external_ids else []
    for found in (pii.hashes(company_id, value) for value in (email, phone) if value):
        matches += [getattr(Order, column) == value for column, value in found.items()]
    return and_(of_store(company_id, connection_id), or_(false(), *matches))


async def forgotten(session: AsyncSession, connection_id: UUID, external_ids: Sequence[str]) -> frozenset[str]:
    """Those of these orders of a store whose buyer is forgotten."""
    if not external_ids:
        return frozenset()
    query = select(Order.external_id).where(
        of_store(tenancy.company_of(session), connection_id),
        Order.external_id.in_(list(external_ids)),
        Order.redacted_at.is_not(None),
    )
    return frozenset(found for found in (await session.execute(query)).scalars() if found)


async def asked_for(
    session: AsyncSession, whose: Whose, *, actor: str, after: str = "", limit: int = STEP
) -> tuple[Sequence[Order], str | None]:
    """The buyer of these orders asks which data is held: say so on the timeline of the next `limit`. These orders, and
    where to go on."""
    query = select(Order).where(whose, Order.external_id > after).order_by(Order.external_id).limit(limit)
    found = (await session.execute(query)).scalars().all()
    for order in found:
        words = "The buyer asks, through the store, for the data you hold of them: send it within 30 days"
        tell(session, order, "data_requested", words, actor=actor)
    return found, found[-1].external_id if len(found) == limit else None


async def redact_old(session: AsyncSession, *, after: str | None, limit: int = STEP) -> tuple[int, str | None]:
    """By age, the acting company's next `limit` orders, oldest first: how many buyers were forgotten, where to go on.

    An order's time counts from its end; one that never ends (never shipped, or shipped by other means), from when it
    was last changed. What is locked just now comes next time.
    """
    now, mine = clock.now(), Order.company_id == tenancy.company_of(session)
    shortest = min(days(source) for source in (*MOST_DAYS, ""))
    young = now - timedelta(days=shortest)
    query = (
        select(Order.created_at, Order.id)
        .where(mine, Order.redacted_at.is_(None), Order.created_at < young)
        .order_by(Order.created_at, Order.id)
        .limit(limit)
    )
    if after:
        query = query.where(tuple_(Order.created_at, Order.id) > tuple_(*pages.parse(after)))
    page = (await session.execute(query)).all()
    if not page:
        return 0, None
    due = select(Order).where(mine, Order.id.in_([row.id for row in page]), Order.redacted_at.is_(None), _due(now))
    found = (await session.execute(due.order_by(Order.id).with_for_update(skip_locked=True))).scalars().all()
    await _forget(session, found, "The buyer's data was removed by age")
    return len(found), pages.cursor(page[-1].created_at, page[-1].id) if len(page) == limit else None


def _due(now: datetime) -> ColumnElement[bool]:
    since = func.coalesce(Order.ended_at, Order.updated_at)
    strict = [and_(Order.source == source, since < now - timedelta(days=days(source))) for source in MOST_DAYS]
    return or_(*strict, and_(Order.source.not_in(list(MOST_DAYS)), since < now - timedelta(days=days(""))))


async def _forget(session: AsyncSession, found: Sequence[Order], words: str) -> None:
    if not found:
        return
    company_id, now = tenancy.company_of(session), clock.now()
    ids = tuple(order.id for order in found)
    written = case(WRITTEN, value=OrderEvent.kind)
    await session.execute(
        update(OrderEvent)
        .where(OrderEvent.company_id == company_id, OrderEvent.order_id.in_(ids), OrderEvent.kind.in_(list(WRITTEN)))
        .values(words=written)
    )
    for order in found:
        pii.seal_into(order, pii.Buyer())
        order.redacted_at = now
        order.gaps = order.gaps | {"ship_to": GAP}
        order.holds = sorted({f"{OURS}held" if reason.startswith(OURS) else reason for reason in order.holds})
        tell(session, order, "redacted", words, actor="system")
    for start in range(0, len(ids), IDS_A_MESSAGE):
        await events.publish(session, BuyersRedacted(company_id, ids[start : start + IDS_A_MESSAGE]))
