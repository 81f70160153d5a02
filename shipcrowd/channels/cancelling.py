"""Cancelling an order at its store. Our own order follows the store's word, as it always does: after the store took
the cancellation it is read afresh."""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import importing, sweeps
from shipcrowd.channels.contract import CancelsOrders, FeedTicket, FollowsCancellations, Page, SalesChannel
from shipcrowd.channels.importing import Source, Taken
from shipcrowd.channels.models import CANCELLATION_MOVES, Cancellation, CancellationState
from shipcrowd.channels.open import lost, opened
from shipcrowd.channels.parcels import of_store, ours_to_ship
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Status
from shipcrowd.couriers import vendors as couriers
from shipcrowd.kernel import batches, clock
from shipcrowd.kernel.errors import Conflict, NotFound
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Later, enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, OutsideFailure, Refused
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import OrderState
from shipcrowd.shipping import service as shipping
from shipcrowd.shipping.models import CAME_TO_NOTHING

log = structlog.get_logger(__name__)

PATIENTLY = on(Exception, times=8, first=2.0)

LOOK_AFTER = timedelta(minutes=1)
"""When it is looked at what became of a file."""

HOLD = "its cancellation was asked for at the store"
"""While the store is asked nobody books the order."""


class NoSuchCancellation(NotFound):
    """The cancellation of this order was never asked for."""


class CancelledAlready(Conflict):
    """This order is cancelled already."""


async def ask(
    session: AsyncSession, connection: Connection, order_id: UUID, *, reason: str, actor: str
) -> Cancellation:
    """Have an order cancelled at its store; asking twice is asking once, and a refused one is asked for again.

    Raises OrderNotFound, OrderAlreadyBooked, ShippedByMarketplace, CancelledAlready.
    """
    order = of_store(await orders.locked(session, order_id), connection)
    ours_to_ship(order, connection)
    if order.state == OrderState.cancelled:
        raise CancelledAlready(f"Order {order.number} is cancelled.")
    for parcel in await shipping.of_order(session, order_id):
        if parcel.state not in CAME_TO_NOTHING and not couriers.vendor(parcel.courier).cancelled_with_order:
            raise orders.OrderAlreadyBooked(f"cancel the parcel {parcel.number} first")
    row = await _of_order(session, order_id)
    if row is not None and row.state == CancellationState.asked:
        return row
    if row is None:
        row = Cancellation(
            company_id=order.company_id,
            id=new_id(),
            connection_id=connection.id,
            order_id=order_id,
            order_ref=order.external_ref or order.external_id or "",
        )
        session.add(row)
    else:
        _move(row, CancellationState.asked)
    row.state, row.reason, row.code, row.because, row.ticket = CancellationState.asked, reason, None, None, None
    row.asked_by, row.asked_at, row.ended_at = actor, clock.now(), None
    await orders.hold(session, order_id, reason=HOLD, actor=actor)
    await session.flush()
    await cancel_order.with_(key=f"{row.company_id}:{order_id}").enqueue(
        session, company_id=row.company_id, order_id=order_id
    )
    return row


async def got(session: AsyncSession, connection: Connection, order_id: UUID) -> Cancellation:
    """Raises OrderNotFound, NoSuchCancellation."""
    of_store(await orders.got(session, order_id), connection)
    row = await _of_order(session, order_id)
    if row is None:
        raise NoSuchCancellation()
    return row


async def go_on(session: AsyncSession, connection: Connection) -> None:
    """The store may be used (again): ask for what waited."""
    query = select(Cancellation.order_id).where(
        Cancellation.connection_id == connection.id, Cancellation.state == CancellationState.asked.value
    )
    async for page in batches.ids(session, query, Cancellation.order_id):
        await enqueue_many(
            session,
            cancel_order,
            [{"company_id": connection.company_id, "order_id": order_id} for order_id in page],
            keys=[f"{connection.company_id}:{order_id}" for order_id in page],
        )


@job(retry=PATIENTLY, name="channels.cancel_order")
async def cancel_order(company_id: UUID, order_id: UUID) -> None:
    """Ask the store to cancel an order."""
    async with acting_for(company_id) as session:
        row = await _of_order(session, order_id)
        if row is None or row.state != CancellationState.asked:
            return
        connection = await connections.get(session, row.connection_id)
        order = await orders.got(session, order_id)
    if connection.status != Status.connected:
        return  # asked for when the store is used again
    channel = opened(connection)
    try:
        if not isinstance(channel, CancelsOrders):
            raise Refused("cannot_cancel", "Orders of this channel cannot be cancelled from outside.")
        if not await _cancelled(channel, row):
            raise Later(LOOK_AFTER)
    except Disconnected as failure:
        await lost(connection, failure)
        return
    except Refused as refusal:
        await _ended(connection, order_id, refusal=refusal)
        return
    await _ended(connection, order_id)
    await _read(connection, channel, order.external_id or "")


async def _cancelled(channel: CancelsOrders, row: Cancellation) -> bool:
    """Ask, or look what became of the file the store took it as; whether the store has done it."""
    if row.ticket is None:
        ticket = await channel.cancel_order(row.order_ref, row.reason)
        if ticket is None:
            return True
        async with acting_for(row.company_id) as session:
            fresh = await _of_order(session, row.order_id)
            if fresh is not None and fresh.state == CancellationState.asked:
                fresh.ticket = ticket.reference
        return False
    if not isinstance(channel, FollowsCancellations):
        raise Refused("no_answer", "This channel does not say what became of it; look there.")
    return await channel.cancellation(FeedTicket(row.ticket))


@cancel_order.exhausted
async def _not_cancelled(company_id: UUID, order_id: UUID) -> None:
    async with acting_for(company_id) as session:
        row = await _of_order(session, order_id)
        assert row is not None
        connection = await connections.get(session, row.connection_id)
    await _ended(connection, order_id, refusal=Refused("no_answer", "The store did not answer; look there, ask again."))


async def _ended(connection: Connection, order_id: UUID, *, refusal: Refused | None = None) -> None:
    """Record what the store said, once; on the order's timeline too."""
    async with acting_for(connection.company_id) as session:
        order = await orders.locked(session, order_id)
        row = await _of_order(session, order_id)
        if row is None or row.state != CancellationState.asked:
            return
        _move(row, CancellationState.refused if refusal else CancellationState.done)
        row.ended_at = clock.now()
        words = "The store cancelled the order"
        if refusal is not None:
            row.code, row.because = refusal.code[:100], refusal.message[:500]
            words = f"The store did not cancel the order: {row.because}"
            await orders.lift(session, order_id, reason=HOLD)
        orders.tell(session, order, f"cancel_{row.state}", words, actor=f"channel:{connection.vendor}")
        await sweeps.note(session, connection, "cancel", error=row.because or "")


async def _read(connection: Connection, channel: SalesChannel, external_id: str) -> None:
    """What the order is now. Should that fail, the sweep finds it: it changed just now."""

    async def also(session: AsyncSession, taken: Taken) -> None:
        """Nothing more."""

    try:
        page = Page((await channel.order(external_id),))
    except OutsideFailure as failure:
        log.info("a cancelled order could not be read afresh", because=type(failure).__name__)
        return
    await importing.take_page(Source(connection.company_id, connection.id, connection.vendor), page, also)


async def _of_order(session: AsyncSession, order_id: UUID) -> Cancellation | None:
    query = select(Cancellation).where(Cancellation.order_id == order_id).with_for_update()
    return (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()


def _move(row: Cancellation, to: CancellationState) -> None:
    if to not in CANCELLATION_MOVES[CancellationState(row.state)]:
        raise CancelledAlready(f"The cancellation is {row.state}.")
    row.state = to
