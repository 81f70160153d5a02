"""What a stored webhook delivery means, done in the transaction that settles it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import failures, importing, sending, stocking, sweeps, vendors
from shipcrowd.channels.contract import (
    ChannelEvent,
    FeedFinished,
    ListingsReady,
    MarketplaceStockChanged,
    NothingToDo,
    OrderChanged,
    OrderTouched,
    PrivacyAsk,
    StoreLeft,
)
from shipcrowd.channels.importing import Source, Taken
from shipcrowd.channels.reading import listings_ready, marketplace_moved
from shipcrowd.channels.returning import returns_touched
from shipcrowd.channels.returns_contract import ReturnTouched
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Status
from shipcrowd.kernel import audit, inbox
from shipcrowd.kernel.inbox import Delivery, Outcome
from shipcrowd.orders import privacy


@dataclass(frozen=True)
class Follow:
    """What is still to be done by jobs: orders to be read afresh, a store to be asked whether it still knows us."""

    connection_id: UUID
    touched: tuple[str, ...] = ()
    ask_whether_left: bool = False
    privacy: bool = False


async def handle(session: AsyncSession, delivery: Delivery) -> Follow | None:
    """Do what the delivery says and settle it. Raises one of importing.UNREADABLE when it cannot be read."""
    connection = await connections.find(session, vendor=delivery.vendor, external_id=delivery.store)
    if connection is None:
        inbox.settle(delivery, Outcome.ignored, "the store is not connected here any more")
        return None
    vendor = vendors.vendor(delivery.vendor)
    headers, body = inbox.opened(delivery)
    news = vendor.webhooks.read(delivery.topic, body, headers)
    follow, done, notes = await _act(session, connection, delivery, news)
    inbox.settle(delivery, Outcome.handled if done else Outcome.ignored, "; ".join(notes))
    await failures.resolve(session, connection.id, [item_of(delivery.id)])
    named = [event.order.external_id for event in news if isinstance(event, OrderChanged)]
    if await privacy.any_forgotten(session, connection.id, [*named, *follow.touched]):
        delivery.body = None  # it would bring a forgotten buyer back
    return follow


def item_of(delivery_id: UUID) -> str:
    """The failed item of a delivery that could not be read."""
    return f"webhook:{delivery_id}"


async def _act(
    session: AsyncSession, connection: Connection, delivery: Delivery, news: Sequence[ChannelEvent]
) -> tuple[Follow, bool, list[str]]:
    reading = connection.status == Status.connected
    changed = [event.order for event in news if isinstance(event, OrderChanged)]
    touched = tuple(dict.fromkeys(event.external_id for event in news if isinstance(event, OrderTouched)))
    done, notes, ask = False, list[str](), False
    returned = list(dict.fromkeys(event.external_id for event in news if isinstance(event, ReturnTouched)))
    taken = Taken()
    if returned and reading:
        await returns_touched(session, connection, returned)
        done = True
    if changed or touched:
        if reading:
            source = Source(connection.company_id, connection.id, connection.vendor)
            taken = await importing.take(session, source, changed)
            done = True
            if changed and not taken.inserted and not taken.updated:
                notes.append("nothing newer than what we hold")
        else:
            # Not lost: the sweep after a resume or a reconnect starts where the last one ended.
            touched = ()
            notes.append(f"the store is {connection.status}")
    for event in news:
        match event:
            case OrderChanged() | OrderTouched() | ReturnTouched():
                pass
            case StoreLeft():
                left, words, unsure = await _left(session, connection, event)
                done, ask = done or left, ask or unsure
                notes.append(words)
            case PrivacyAsk():
                notes.append(await _privacy(session, connection, delivery, event))
                done = True
            case FeedFinished():
                waits = await _feed_finished(session, connection, event)
                done = done or waits
                notes.append("a file was worked off" if waits else "no file of ours waits under that reference")
            case MarketplaceStockChanged():
                await marketplace_moved(session, connection)
                done = True
            case ListingsReady():
                await listings_ready(session, connection)
                done = True
            case NothingToDo():
                notes.append(f"nothing to do for {event.topic}")
    if not news:
        notes.append("nothing to do")
    if reading:
        await sweeps.seen_webhook(session, connection.id, delivery.received_at, taken.inserted)
    asked = any(isinstance(event, PrivacyAsk) for event in news)
    return Follow(connection.id, touched, ask, asked), done or bool(touched), notes


async def _feed_finished(session: AsyncSession, connection: Connection, event: FeedFinished) -> bool:
    feed_id = await sending.feed_named(session, connection.id, event.reference)
    if feed_id is not None:
        await stocking.follow_now(session, connection.company_id, feed_id)
    return feed_id is not None


async def _left(session: AsyncSession, connection: Connection, event: StoreLeft) -> tuple[bool, str, bool]:
    if connection.closed_at is not None:
        return False, "the store was closed already", False
    if event.at is None:
        return True, "the store says it removed us; it is being asked", True
    if event.at < connection.connected_at:
        return False, "older than the present connection", False
    await connections.left(session, connection.id)
    await audit.record(
        session, actor=f"channel:{connection.vendor}", action="store.left", subject=f"connection:{connection.id}"
    )
    return True, "the store removed us", False


async def _privacy(session: AsyncSession, connection: Connection, delivery: Delivery, ask: PrivacyAsk) -> str:
    """Write down that it was asked. What follows may be long, and is done by a job in steps (`channels.privacy`)."""
    await audit.record(
        session,
        actor=f"channel:{connection.vendor}",
        action=f"privacy.{ask.kind}",
        subject=f"connection:{connection.id}",
        details={"orders": list(ask.external_order_ids)},
    )
    return "being done"
