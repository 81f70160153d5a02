"""What is done with stores in the background. Each job loads, calls, and records; none holds a transaction meanwhile.

A store's four failures end the same way everywhere: Unavailable is tried again, Refused and Malformed are written
down and shown, Disconnected marks the connection, which pauses all of this until someone connects the store again.
"""

import contextlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID

import structlog
from prometheus_client import Gauge
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import afresh, failures, importing, intake, returning, returns, sweeps, vendors, waiting
from shipcrowd.channels.afresh import read_order, read_orders
from shipcrowd.channels.announcing import announce, announce_anew, progress, tell_date, withdraw
from shipcrowd.channels.cancelling import cancel_order
from shipcrowd.channels.contract import Page, Subscribes
from shipcrowd.channels.dispatching import mark_dispatched, parcels_ready
from shipcrowd.channels.importing import UNREADABLE, Taken
from shipcrowd.channels.models import StoreSync
from shipcrowd.channels.open import connected, lost, opened
from shipcrowd.channels.privacy import carry_out
from shipcrowd.channels.reading import read_due, read_listings, read_marketplace_stock
from shipcrowd.channels.retelling import tell_again, untold_due
from shipcrowd.channels.returning import decide_return, forget_return_comments, read_return, read_returns, returns_due
from shipcrowd.channels.stocking import follow_feed, send_stock, stock_due
from shipcrowd.channels.sweeps import LeaseLost, Run
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Status
from shipcrowd.kernel import batches, clock, inbox, tenancy
from shipcrowd.kernel.jobs import Job, Later, enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.settings import settings

log = structlog.get_logger(__name__)

__all__ = [
    "announce",
    "announce_anew",
    "ask_whether_left",
    "cancel_order",
    "carry_out",
    "decide_return",
    "follow_feed",
    "forget_return_comments",
    "mark_dispatched",
    "parcels_ready",
    "progress",
    "read_due",
    "read_listings",
    "read_marketplace_stock",
    "read_order",
    "read_orders",
    "read_return",
    "read_returns",
    "replay_delivery",
    "replay_item",
    "resubscribe_all",
    "returns_due",
    "send_stock",
    "stock_due",
    "store_key",
    "subscribe",
    "sweep",
    "sweep_all",
    "take_in",
    "tell_again",
    "tell_date",
    "tidy",
    "untold_due",
    "webhook_url",
    "withdraw",
]

PATIENTLY = on(Exception, times=8, first=2.0)
"""What is not the store's final word is tried again: the network, the store's bad hour, our own database."""

RUN = timedelta(minutes=4)
"""A longer sweep goes on in another job, so that no worker belongs to one store for long."""

SWEEPS_AT_ONCE = 1000
LOG_DAYS = 30

LAG = Gauge("shipcrowd_store_lag_seconds", "How far the reading of the slowest connected store is behind")
STORES = Gauge("shipcrowd_stores", "Stores by status", ["status"])


# --- orders in ------------------------------------------------------------------------------------------------------


FORGOTTEN_AFTER = timedelta(minutes=20)

TOGETHER = 32
"""Deliveries of one account that are read in one transaction."""


@job(retry=PATIENTLY)
async def take_in(company_id: UUID, delivery_id: UUID) -> None:
    """Read a stored webhook delivery, and with it all that waits of its store, and do what they say. What cannot be
    read stays, shown, to be replayed."""
    try:
        async with acting_for(company_id) as session:
            deliveries = await inbox.waiting_together(session, delivery_id, most=TOGETHER)
            await _take_in(session, company_id, deliveries)
            if len(deliveries) == TOGETHER:
                await take_in.enqueue(session, company_id=company_id, delivery_id=delivery_id)
    except UNREADABLE:
        await _each_for_itself(company_id, delivery_id)  # one of them is at fault


async def _take_in(session: AsyncSession, company_id: UUID, deliveries: Sequence[inbox.Delivery]) -> None:
    follow = await intake.handle(session, deliveries) if deliveries else None
    if follow is None:
        return
    await afresh.have_read(session, company_id, follow.connection_id, follow.touched)
    for asking in follow.privacy:
        await carry_out.enqueue(session, company_id=company_id, delivery_id=asking)
    if follow.ask_whether_left:
        await ask_whether_left.enqueue(session, company_id=company_id, connection_id=follow.connection_id)


async def _each_for_itself(company_id: UUID, delivery_id: UUID) -> None:
    async with acting_for(company_id) as session:
        waiting_now = await inbox.ids_waiting(session, delivery_id, most=TOGETHER)
    for each in waiting_now:
        try:
            await _alone(company_id, each)
        except UNREADABLE as error:
            await _unread(company_id, each, importing.words(error))
    if len(waiting_now) == TOGETHER:
        async with acting_for(company_id) as session:
            await take_in.enqueue(session, company_id=company_id, delivery_id=delivery_id)


async def _alone(company_id: UUID, delivery_id: UUID) -> None:
    async with acting_for(company_id) as session:
        delivery = await inbox.waiting(session, delivery_id)
        await _take_in(session, company_id, [delivery] if delivery else [])


@take_in.exhausted
async def _not_taken_in(company_id: UUID, delivery_id: UUID) -> None:
    """What waits of its store is tried once more, each for itself: nothing is left to wait for a job that does not
    come, and nothing fails for another's fault."""
    while True:
        async with acting_for(company_id) as session:
            waiting_still = await inbox.ids_waiting(session, delivery_id, most=TOGETHER)
        for each in waiting_still:
            try:
                await _alone(company_id, each)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this one's own
                log.warning("a delivery could not be taken in", delivery=str(each), because=type(error).__name__)
                await _unread(company_id, each, "the delivery could not be taken in; see the held jobs")
        if len(waiting_still) < TOGETHER:
            return


async def _unread(company_id: UUID, delivery_id: UUID, because: str) -> None:
    async with acting_for(company_id) as session:
        delivery = await inbox.waiting(session, delivery_id)
        if delivery is None:
            return
        inbox.settle(delivery, inbox.Outcome.failed, because)
        connection = await connections.find(session, vendor=delivery.vendor, external_id=delivery.store)
        if connection is not None:
            await failures.keep(
                session,
                connection_id=connection.id,
                vendor=delivery.vendor,
                external_id=intake.item_of(delivery_id),
                reason=because,
                delivery_id=delivery_id,
            )


@job(retry=PATIENTLY, seconds=900)
async def sweep(company_id: UUID, connection_id: UUID) -> None:
    """Read every order changed since the store was last read. Goes on where a sweep cut short was."""
    async with acting_for(company_id) as session:
        run = await sweeps.begin(session, connection_id)
    if run is None:
        return
    try:
        with waiting.in_place(goes_on=True):
            ended = await _read_pages(run)
    except LeaseLost:
        log.warning("sweep overtaken", connection=str(connection_id))
        return
    except Disconnected as failure:
        await _stop(run, failure.reason)
        await lost(run.connection, failure)
        return
    except (Refused, Malformed) as failure:
        words = failure.message if isinstance(failure, Refused) else str(failure)
        await _stop(run, words)
        async with acting_for(company_id) as session:
            await connections.failed(session, connection_id, words)
        return
    except Later:
        await _stop(run, "")
        raise
    except BaseException as error:
        await _stop(run, f"{type(error).__name__}: the sweep will go on where it was")
        raise
    async with acting_for(company_id) as session:
        if ended:
            await sweeps.finish(session, run)
        else:
            await sweeps.stop(session, run)
            await sweep.with_(key=store_key(company_id, connection_id)).enqueue(
                session, company_id=company_id, connection_id=connection_id
            )


@sweep.exhausted
async def _not_swept(company_id: UUID, connection_id: UUID) -> None:
    async with acting_for(company_id) as session:
        await connections.failed(session, connection_id, "The store did not answer when asked for its orders.")


async def _read_pages(run: Run) -> bool:
    """Take in page after page; whether the end was reached. Stops after `RUN`, but never before the mark has moved:
    a run that ended where it began would begin there again."""
    async with contextlib.aclosing(waiting.ahead(sweeps.pages(run))) as come:
        async for some in come:
            for page, count in importing.together(some):

                async def also(session: AsyncSession, taken: Taken, page: Page = page, count: int = count) -> None:
                    await sweeps.advance(session, run, taken, page.through, pages=count)

                await importing.take_page(run.source, page, also)
            if clock.now() - run.started_at > RUN and run.position > run.since:
                return False
    return True


async def _stop(run: Run, error: str) -> None:
    async with acting_for(run.source.company_id) as session:
        await sweeps.stop(session, run, error)


@job()
async def sweep_all() -> None:
    """By the clock: the sweeps that are due, and how far behind the slowest store is."""
    async with tenancy.acting_for_platform(why="sweep due stores") as session:
        due = await session.execute(
            select(StoreSync.company_id, StoreSync.id)
            .join(Connection, (Connection.company_id == StoreSync.company_id) & (Connection.id == StoreSync.id))
            .where(Connection.status == Status.connected.value, StoreSync.next_sweep_at <= clock.now())
            .order_by(StoreSync.next_sweep_at)
            .limit(SWEEPS_AT_ONCE)
        )
        await _enqueue_for(session, sweep, [(row.company_id, row.id) for row in due])
        await _take_in_forgotten(session)
        oldest = await session.execute(
            select(func.min(StoreSync.swept_through))
            .join(Connection, (Connection.company_id == StoreSync.company_id) & (Connection.id == StoreSync.id))
            .where(Connection.status == Status.connected.value)
        )
        through = oldest.scalar_one()
        LAG.set((clock.now() - through).total_seconds() if through else 0)
        counted = await session.execute(
            text("SELECT status, count(*) AS stores FROM connections WHERE kind = 'channel' GROUP BY status")
        )
        counts = {row.status: row.stores for row in counted}
        for status in Status:
            STORES.labels(status.value).set(counts.get(status.value, 0))


async def _take_in_forgotten(session: AsyncSession) -> None:
    """Deliveries that have waited far too long: their job was lost. One of each store's is enough."""
    waiting_since = clock.now() - FORGOTTEN_AFTER
    found = await session.execute(
        text(
            """
            SELECT DISTINCT ON (company_id, vendor, store) company_id, id FROM inbox
            WHERE outcome = 'waiting' AND body IS NOT NULL AND received_at < :since AND vendor = ANY(:channels)
            ORDER BY company_id, vendor, store, id LIMIT :most
            """
        ),
        {"since": waiting_since, "channels": [vendor.slug for vendor in vendors.vendors()], "most": SWEEPS_AT_ONCE},
    )
    lost_ones = found.all()
    payloads = [{"company_id": row.company_id, "delivery_id": row.id} for row in lost_ones]
    await enqueue_many(session, take_in, payloads, keys=[str(row.id) for row in lost_ones])


@job()
async def resubscribe_all() -> None:
    """By the clock: make sure that every store still sends us its webhooks. Channels drop those that failed a while."""
    async with tenancy.acting_for_platform(why="resubscribe stores") as session:
        stores = await session.execute(
            select(Connection.company_id, Connection.id)
            .join(StoreSync, (Connection.company_id == StoreSync.company_id) & (Connection.id == StoreSync.id))
            .where(Connection.status == Status.connected.value)
        )
        await _enqueue_for(session, subscribe, [(row.company_id, row.id) for row in stores])


async def _enqueue_for(session: AsyncSession, work: Job[...], stores: Sequence[tuple[UUID, UUID]]) -> None:
    payloads = [{"company_id": company_id, "connection_id": connection_id} for company_id, connection_id in stores]
    await enqueue_many(session, work, payloads, keys=[store_key(*store) for store in stores])


def store_key(company_id: UUID, connection_id: UUID) -> str:
    """Under this key a store's waiting jobs of one kind are one job; an event about the store uses the same."""
    return f"{company_id}:{connection_id}"


# --- webhooks in force ----------------------------------------------------------------------------------------------


def webhook_url(connection: Connection) -> str:
    """Where this store's webhooks are to go. It names the connection, which fits any URL, unless the vendor wants the
    store named."""
    by_store = vendors.vendor(connection.vendor).webhooks_by_store
    store = quote(connection.external_id, safe="") if by_store else connection.id
    return f"{settings().public_url.rstrip('/')}/api/v1/webhooks/{quote(connection.vendor)}/{store}"


@job(retry=PATIENTLY)
async def subscribe(company_id: UUID, connection_id: UUID) -> None:
    """Make the store's webhooks match what we need."""
    connection = await connected(company_id, connection_id)
    if connection is None:
        return
    channel = opened(connection)
    if not isinstance(channel, Subscribes):
        return
    topics: list[str] = []
    error = ""
    try:
        topics = sorted(await channel.subscribe(webhook_url(connection)))
    except Disconnected as failure:
        await lost(connection, failure)
        return
    except Refused as failure:
        error = failure.message
    except Malformed as failure:
        error = str(failure)
    async with acting_for(company_id) as session:
        sync = await session.get(StoreSync, (company_id, connection_id), with_for_update=True)
        assert sync is not None
        if error:
            await sweeps.note(session, connection, "subscribe", error=error)
            await connections.failed(session, connection_id, error)
        elif topics != sync.topics:
            await sweeps.note(session, connection, "subscribe")
            sync.topics = topics


@subscribe.exhausted
async def _not_subscribed(company_id: UUID, connection_id: UUID) -> None:
    async with acting_for(company_id) as session:
        connection = await connections.get(session, connection_id)
        words = "The store did not answer when asked for its webhooks; orders are still read by the clock."
        await sweeps.note(session, connection, "subscribe", error=words)


@job(retry=PATIENTLY)
async def ask_whether_left(company_id: UUID, connection_id: UUID) -> None:
    """A store said it removed us without saying when: it may be old news, so the store itself is asked."""
    connection = await connected(company_id, connection_id)
    if connection is None:
        return
    try:
        await opened(connection).store()
    except Disconnected:
        async with acting_for(company_id) as session:
            now = await connections.get(session, connection_id)
            if now.connected_at == connection.connected_at and now.closed_at is None:
                await connections.left(session, connection_id)
    except Refused as refusal:
        log.info("a store that said it removed us refuses to talk", code=refusal.code)


# --- again ----------------------------------------------------------------------------------------------------------


@job()
async def replay_item(company_id: UUID, item_id: UUID) -> None:
    """Try a failed item again: its order is read afresh, its delivery read once more."""
    async with acting_for(company_id) as session:
        item = await failures.get(session, item_id)
        if item.delivery_id is not None:
            await replay_delivery.enqueue(session, company_id=company_id, delivery_id=item.delivery_id)
        elif item.external_id.startswith(returns.item_of("")):
            connection = await connections.get(session, item.connection_id)
            await returning.read_now(session, connection, back_to=item.failed_at - returning.UNREAD_BACK)
        else:
            await afresh.have_read(session, company_id, item.connection_id, [item.external_id])


@job()
async def replay_delivery(company_id: UUID, delivery_id: UUID) -> None:
    """Read a delivery once more, whatever became of it the first time."""
    async with acting_for(company_id) as session:
        delivery = await session.get(inbox.Delivery, (company_id, delivery_id), with_for_update=True)
        if delivery is None or delivery.body is None:
            return  # pruned or emptied since; the sweep has long seen what it said
        delivery.outcome, delivery.note, delivery.handled_at = inbox.Outcome.waiting, "", None
        await take_in.with_(key=str(delivery_id)).enqueue(session, company_id=company_id, delivery_id=delivery_id)


DONE_WITH: Sequence[tuple[str, str, int]] = (
    ("failed_items", "resolved_at < :before", 1000),
    ("sync_entries", "started_at < :before", 1000),
    ("stock_pushes", "finished_at < :before", 10),  # each goes with up to 25,000 levels
    ("stock_feeds", "ended_at < :before", 1000),
)
"""Table → which of its rows are of no more use, and how many go in one transaction."""


@job(seconds=1800)
async def tidy() -> None:
    """Daily: old log lines, resolved failures, stock pushes and files that came to their end, some at a time."""
    before = clock.now() - timedelta(days=LOG_DAYS)
    async with tenancy.acting_for_platform(why="tidy store logs") as session:
        await returning.forget_orphans(session)
    for table, where, size in DONE_WITH:
        await batches.delete(_tidying, table, where, {"before": before}, size=size)


def _tidying() -> AbstractAsyncContextManager[AsyncSession]:
    return tenancy.acting_for_platform(why="tidy store logs")
