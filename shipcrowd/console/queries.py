"""Reads that only pages need: the frame's facts in one statement, counts for tabs, what may be printed.

Whatever a module below can answer is asked there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity.models import Company
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.errors import NotFound
from shipcrowd.kernel.money import Money
from shipcrowd.ledger.chart import AccountCode
from shipcrowd.ledger.models import Account
from shipcrowd.orders.models import Order, OrderState
from shipcrowd.shipping.models import Quote, Shipment, State

COUNTED = 1000
"""A tab counts this far and then says so: counting a million rows would cost more than the page."""

PRINTABLE = frozenset(State) - {State.booking, State.unconfirmed, State.refused, State.cancelled, State.cancelling}


@dataclass(frozen=True)
class Shell:
    """What stands on every page."""

    company: str
    available: Money
    unconfirmed: int


async def shell(session: AsyncSession) -> Shell:
    """One statement."""
    company_id = tenancy.company_of(session)
    balance = select(Account.balance_paise).where(Account.company_id == company_id, Account.code == AccountCode.wallet)
    unsettled = select(func.count()).where(Shipment.company_id == company_id, Shipment.state == State.unconfirmed)
    row = (
        await session.execute(
            select(Company.name, balance.scalar_subquery(), unsettled.scalar_subquery()).where(
                Company.company_id == company_id
            )
        )
    ).one_or_none()
    return Shell(row[0], row[1] or Money.zero, row[2]) if row else Shell("", Money.zero, 0)


async def order_counts(session: AsyncSession) -> Mapping[str, int]:
    """State → orders in it, counted up to `COUNTED`; `problems` → those to ship that lack something. One statement."""
    counted = text(
        """
        SELECT s.state, (SELECT count(*) FROM (SELECT FROM orders o WHERE o.company_id = :company
                                               AND o.state = s.state LIMIT :most) t)
        FROM unnest(CAST(:states AS text[])) AS s(state)
        UNION ALL
        SELECT 'problems', (SELECT count(*) FROM (SELECT FROM orders o WHERE o.company_id = :company
                                                  AND o.state = 'ready' AND o.gaps <> '{}' LIMIT :most) t)
        """
    )
    values = {"company": tenancy.company_of(session), "states": list(OrderState), "most": COUNTED}
    return {row[0]: row[1] for row in await session.execute(counted, values)}


async def shipment_counts(session: AsyncSession) -> Mapping[str, int]:
    """State → shipments in it, counted up to `COUNTED`. One statement."""
    counted = text(
        """
        SELECT s.state, (SELECT count(*) FROM (SELECT FROM shipments o WHERE o.company_id = :company
                                               AND o.state = s.state LIMIT :most) t)
        FROM unnest(CAST(:states AS text[])) AS s(state)
        """
    )
    values = {"company": tenancy.company_of(session), "states": list(State), "most": COUNTED}
    return {row[0]: row[1] for row in await session.execute(counted, values)}


async def printable(session: AsyncSession, order_ids: Collection[UUID]) -> Sequence[UUID]:
    """The shipments of these orders that have a label, in the order's order."""
    query = (
        select(Shipment.order_id, Shipment.id)
        .where(Shipment.order_id.in_(list(order_ids)), Shipment.awb.is_not(None), Shipment.state.in_(PRINTABLE))
        .order_by(Shipment.created_at)
    )
    found = (await session.execute(query)).all()
    place = {order_id: i for i, order_id in enumerate(order_ids)}
    return [row[1] for row in sorted(found, key=lambda row: place[row[0]])]


async def quote_of(session: AsyncSession, order_id: UUID, quote_id: UUID) -> Quote:
    """A quote of this order. Raises NotFound."""
    found = await session.get(Quote, (tenancy.company_of(session), quote_id))
    if found is None or found.order_id != order_id:
        raise NotFound("compare prices again", field="quote_id")
    return found


async def unconfirmed(session: AsyncSession, *, limit: int = 200) -> Sequence[Shipment]:
    """Bookings whose outcome nobody knows, the oldest first."""
    query = select(Shipment).where(Shipment.state == State.unconfirmed).order_by(Shipment.moved_at).limit(limit)
    return (await session.execute(query)).scalars().all()


async def waiting_for_pickup(session: AsyncSession) -> Sequence[tuple[UUID, str, int]]:
    """Place, courier and number of booked parcels that wait there."""
    query = (
        select(Shipment.place_id, Shipment.courier, func.count())
        .where(Shipment.state.in_([State.pickup_pending, State.pickup_failed]))
        .group_by(Shipment.place_id, Shipment.courier)
        .order_by(func.count().desc())
    )
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


async def order_numbers(session: AsyncSession, order_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """The numbers of many orders, in one query."""
    query = select(Order.id, Order.number).where(Order.id.in_(list(order_ids)))
    return {row[0]: row[1] for row in await session.execute(query)}


async def shipments_named(session: AsyncSession, wanted: Mapping[str, UUID]) -> Mapping[str, Shipment]:
    """Reference → the shipment it names, in one query."""
    if not wanted:
        return {}
    query = select(Shipment).where(Shipment.id.in_(set(wanted.values())))
    by_id = {shipment.id: shipment for shipment in (await session.execute(query)).scalars()}
    return {reference: by_id[shipment_id] for reference, shipment_id in wanted.items() if shipment_id in by_id}
