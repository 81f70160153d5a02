"""Shipping many orders with one click: one job an order, a result for each, one run to watch."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import tenancy
from shipcrowd.kernel.errors import Invalid, NotFound
from shipcrowd.kernel.ids import new_id
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.shipping.models import BulkItem, BulkRun, Shipment
from shipcrowd.shipping.quoting import Option

MOST = 500

Choose = Literal["cheapest", "fastest"]


class RunNotFound(NotFound):
    """There is no such bulk run."""


async def start(
    session: AsyncSession, order_ids: Sequence[UUID], *, choose: Choose, place_id: UUID | None, actor: str
) -> BulkRun:
    """Record a run; the caller enqueues `jobs.ship_order` for each of its orders in the same transaction."""
    wanted = list(dict.fromkeys(order_ids))
    if not 1 <= len(wanted) <= MOST:
        raise Invalid(f"choose 1 to {MOST} orders", field="order_ids")
    company_id = tenancy.company_of(session)
    run = BulkRun(company_id=company_id, id=new_id(), actor=actor, choose=choose, place_id=place_id, total=len(wanted))
    session.add(run)
    await session.flush()
    await session.execute(
        insert(BulkItem).values(
            [
                {"company_id": company_id, "id": new_id(), "run_id": run.id, "order_id": order_id, "state": "waiting"}
                for order_id in wanted
            ]
        )
    )
    return run


async def got(session: AsyncSession, run_id: UUID) -> BulkRun:
    """Raises RunNotFound."""
    run = await session.get(BulkRun, (tenancy.company_of(session), run_id))
    if run is None:
        raise RunNotFound
    return run


async def results(session: AsyncSession, run_id: UUID) -> Sequence[tuple[BulkItem, Shipment | None]]:
    """Each order of the run with its shipment, where it got one: one query."""
    query = (
        select(BulkItem, Shipment)
        .outerjoin(Shipment, (Shipment.company_id == BulkItem.company_id) & (Shipment.id == BulkItem.shipment_id))
        .where(BulkItem.run_id == run_id)
        .order_by(BulkItem.id)
    )
    return (await session.execute(query)).all()


async def item(session: AsyncSession, run_id: UUID, order_id: UUID) -> BulkItem | None:
    """One order's place in a run, locked."""
    query = select(BulkItem).where(BulkItem.run_id == run_id, BulkItem.order_id == order_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def refused(session: AsyncSession, run_id: UUID, order_id: UUID, *, code: str, message: str) -> None:
    """An order of the run could not be booked; the run and the order's timeline say why. Safe to repeat."""
    waiting = await item(session, run_id, order_id)
    if waiting is None or waiting.state != "waiting":
        return
    waiting.state, waiting.code, waiting.message = "refused", code, message[:500]
    run = await got(session, run_id)
    try:
        order = await orders.got(session, order_id)
    except orders.OrderNotFound:
        return  # the run was given an order that is not here; there is no timeline to tell
    words = f"Not booked when many were shipped at once: {message[:300]}"
    orders.tell(session, order, "refused", words, actor=run.actor, details={"code": code, "run_id": str(run_id)})


async def preparing(
    session: AsyncSession, run_id: UUID, account_id: UUID, *, limit: int
) -> Sequence[tuple[Order, Shipment]]:
    """Shipments of a run that are to be booked with one account and wait to be prepared together."""
    query = (
        select(Order, Shipment)
        .join(Shipment, (Shipment.company_id == Order.company_id) & (Shipment.order_id == Order.id))
        .join(BulkItem, (BulkItem.company_id == Shipment.company_id) & (BulkItem.shipment_id == Shipment.id))
        .where(
            BulkItem.run_id == run_id,
            BulkItem.state == "preparing",
            Shipment.account_id == account_id,
        )
        .order_by(Shipment.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def prepared(session: AsyncSession, run_id: UUID, shipment_ids: Sequence[UUID]) -> Sequence[UUID]:
    """These are to be booked now, each by itself; those of them that nobody else has sent on."""
    moved = (
        update(BulkItem)
        .where(BulkItem.run_id == run_id, BulkItem.state == "preparing", BulkItem.shipment_id.in_(shipment_ids))
        .values(state="booking")
        .returning(BulkItem.shipment_id)
    )
    return [shipment_id for shipment_id in (await session.execute(moved)).scalars() if shipment_id is not None]


def chosen(options: Sequence[Option], choose: Choose) -> Option:
    """The option a person would take who only says *cheapest* or *fastest*; of those whose cost nobody can say before
    booking, the seller's own account comes before a price. Pure; `options` has a bookable one."""
    bookable = [option for option in options if option.price_paise is not None]
    if choose == "fastest":
        return min(bookable, key=lambda o: (o.max_days if o.max_days is not None else 99, o.cost_paise or 0))
    return min(bookable, key=lambda o: (o.cost_paise or 0, o.max_days if o.max_days is not None else 99))
