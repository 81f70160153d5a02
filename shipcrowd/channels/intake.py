"""What stored webhook deliveries of one account mean, done in the transaction that settles them."""

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
from shipcrowd.orders.schemas import IncomingOrder


@dataclass(frozen=True)
class Follow:
    """What is still to be done by jobs: orders to be read afresh, a store to be asked whether it still knows us, the
    deliveries by which somebody's privacy is asked for."""

    connection_id: UUID
    touched: tuple[str, ...] = ()
    ask_whether_left: bool = False
    privacy: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class _Said:
    """A delivery and what it says, its orders by their ids at the store."""

    delivery: Delivery
    news: Sequence[ChannelEvent]

    @property
    def changed(self) -> list[IncomingOrder]:
        return [event.order for event in self.news if isinstance(event, OrderChanged)]

    @property
    def touched(self) -> list[str]:
        return [event.external_id for event in self.news if isinstance(event, OrderTouched)]

    @property
    def returned(self) -> list[str]:
        return [event.external_id for event in self.news if isinstance(event, ReturnTouched)]

    @property
    def orders(self) -> list[str]:
        return [*(order.external_id for order in self.changed), *self.touched]


async def handle(session: AsyncSession, deliveries: Sequence[Delivery]) -> Follow | None:
    """Do what deliveries of one account say and settle them. Raises one of importing.UNREADABLE when one cannot be
    read."""
    connection = await connections.find(session, vendor=deliveries[0].vendor, external_id=deliveries[0].store)
    if connection is None:
        for delivery in deliveries:
            inbox.settle(delivery, Outcome.ignored, "the store is not connected here any more")
        return None
    webhooks = vendors.vendor(connection.vendor).webhooks
    all_said: list[_Said] = []
    for delivery in deliveries:
        headers, body = inbox.opened(delivery)
        all_said.append(_Said(delivery, webhooks.read(delivery.topic, body, headers)))
    reading = connection.status == Status.connected
    taken, touched = Taken(), dict.fromkeys(each for said in all_said for each in said.touched)
    if reading:
        if returned := list(dict.fromkeys(each for said in all_said for each in said.returned)):
            await returns_touched(session, connection, returned)
        source = Source(connection.company_id, connection.id, connection.vendor)
        taken = await importing.take(session, source, [order for said in all_said for order in said.changed])
    asks = False
    for said in all_said:
        done, notes, unsure = await _act(session, connection, said, taken, reading=reading)
        inbox.settle(said.delivery, Outcome.handled if done else Outcome.ignored, "; ".join(notes))
        asks = asks or unsure
    await failures.resolve(session, connection.id, [item_of(delivery.id) for delivery in deliveries])
    named = [each for said in all_said for each in said.orders]
    forgotten = await privacy.forgotten(session, connection.id, named)
    for said in all_said:
        if forgotten.intersection(said.orders):
            said.delivery.body = None  # it would bring a forgotten buyer back
    if reading:  # last of all: the store's row is locked from here to the end
        newest = max(delivery.received_at for delivery in deliveries)
        await sweeps.seen_webhook(session, connection.id, newest, taken.inserted)
    # What is not read now is not lost: the sweep after a resume or a reconnect starts where the last one ended.
    return Follow(
        connection.id,
        tuple(touched) if reading else (),
        asks,
        tuple(said.delivery.id for said in all_said if any(isinstance(event, PrivacyAsk) for event in said.news)),
    )


def item_of(delivery_id: UUID) -> str:
    """The failed item of a delivery that could not be read."""
    return f"webhook:{delivery_id}"


async def _act(
    session: AsyncSession, connection: Connection, said: _Said, taken: Taken, *, reading: bool
) -> tuple[bool, list[str], bool]:
    """Whether it meant anything to us, what is noted of it, whether the store must be asked if it left."""
    done, notes, ask = False, list[str](), False
    if said.orders and not reading:
        notes.append(f"the store is {connection.status}")
    elif said.orders or said.returned:
        done = reading
        changed = {order.external_id for order in said.changed}
        if changed and not changed & taken.changed:
            notes.append("nothing newer than what we hold")
    for event in said.news:
        match event:
            case OrderChanged() | OrderTouched() | ReturnTouched():
                pass
            case StoreLeft():
                left, words, unsure = await _left(session, connection, event)
                done, ask = done or left, ask or unsure
                notes.append(words)
            case PrivacyAsk():
                notes.append(await _privacy(session, connection, event))
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
    if not said.news:
        notes.append("nothing to do")
    return done, notes, ask


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


async def _privacy(session: AsyncSession, connection: Connection, ask: PrivacyAsk) -> str:
    """Write down that it was asked. What follows may be long, and is done by a job in steps (`channels.privacy`)."""
    await audit.record(
        session,
        actor=f"channel:{connection.vendor}",
        action=f"privacy.{ask.kind}",
        subject=f"connection:{connection.id}",
        details={"orders": list(ask.external_order_ids)},
    )
    return "being done"
