"""Sending stores their stock, and following the files it went as. What is due, and what came of it, is `sending`.

Levels are absolute, so a call that may or may not have arrived is simply made again.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import reading, sending
from shipcrowd.channels.contract import (
    FeedState,
    FeedStep,
    FeedTicket,
    FollowsFeeds,
    ReportsMarketplaceStock,
    SetsStock,
    StartsFeeds,
)
from shipcrowd.channels.open import lost, opened
from shipcrowd.channels.sending import Batch, LeaseLost, Run, ToStart
from shipcrowd.channels.waiting import in_place
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.jobs import Later, enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.kernel.tenancy import acting_for

PATIENTLY = on(Exception, times=8, first=2.0)

RUN = timedelta(minutes=4)
"""What takes longer goes on in another job, so that no worker belongs to one store for long."""

LEFT_ALONE = timedelta(minutes=30)
"""A store that did not answer any of our tries is tried again after so long."""

UNTIL_READ = timedelta(seconds=20)
AT_ONCE = 1000


@job(retry=PATIENTLY, seconds=600, name="channels.send_stock")
async def send_stock(company_id: UUID, connection_id: UUID) -> None:
    """Send a store what is queued for it, batch by batch, until nothing is left that may be sent now."""
    async with acting_for(company_id) as session:
        run = await sending.begin(session, connection_id)
    if run is None:
        return  # sent when the store is used again
    try:
        ended = await _send(run)
    except LeaseLost:
        return  # another one goes on
    except Disconnected as failure:
        await _let_go(run)
        await lost(run.connection, failure)
        return
    except Refused as refusal:
        async with acting_for(company_id) as session:
            await sending.refused(session, run.connection, refusal.code, refusal.message)
            await sending.let_go(session, run)
        return
    except BaseException:
        await _let_go(run)
        raise
    async with acting_for(company_id) as session:
        await sending.let_go(session, run)
        if ended:
            await connections.worked(session, connection_id)
        else:
            await enqueue_send(session, run.connection)


@send_stock.exhausted
async def _not_sent(company_id: UUID, connection_id: UUID) -> None:
    """What is queued stays so: the clock tries again."""
    async with acting_for(company_id) as session:
        await sending.not_before(session, connection_id, clock.now() + LEFT_ALONE)
        await connections.failed(session, connection_id, "The store did not answer when its stock was to be set.")


async def _send(run: Run) -> bool:
    """Whether all that may be sent now was."""
    channel = opened(run.connection)
    if not isinstance(channel, SetsStock):
        raise Refused("cannot_set_stock", "This channel's stock cannot be set from outside.")
    if isinstance(channel, ReportsMarketplaceStock) and run.marketplace_read_at is None:
        await _not_knowing(run)
    while True:
        async with acting_for(run.connection.company_id) as session:
            batch = await sending.due(session, run)
        if batch is None:
            return True
        await _send_batch(run, channel, batch)
        if clock.now() - run.started_at > RUN:
            return False


async def _not_knowing(run: Run) -> None:
    """What lies in the marketplace's own warehouses must never be pushed, so that is read first. Raises Later until
    it was, Refused when it cannot be."""
    if run.marketplace_error:
        words = f"It is not known what the marketplace holds itself: {run.marketplace_error}"
        raise Refused("marketplace_stock_unknown", words)
    async with acting_for(run.connection.company_id) as session:
        await reading.marketplace_unread(session, run.connection)
    raise Later(UNTIL_READ)


async def _send_batch(run: Run, channel: SetsStock, batch: Batch) -> None:
    company_id = run.connection.company_id
    try:
        # A batch is sent to its end: put back in the middle, it would be sent all over again.
        async with asyncio.timeout(sending.CALL_SECONDS):
            with in_place():
                answer = await channel.set_stock(batch.levels, singly=batch.singly)
    except Malformed as failure:
        async with acting_for(company_id) as session:
            await sending.unreadable(session, run, batch, str(failure))
        return
    async with acting_for(company_id) as session:
        if isinstance(answer, FeedTicket):
            feed_id = await sending.handed_over(session, run, batch, answer)
            after = sending.FIRST_LOOK if answer.started else None
            await follow_feed.with_(after=after).enqueue(session, company_id=company_id, feed_id=feed_id)
        else:
            await sending.answered(session, run, batch, answer)


async def _let_go(run: Run) -> None:
    async with acting_for(run.connection.company_id) as session:
        await sending.let_go(session, run)


@job(retry=PATIENTLY, name="channels.follow_feed")
async def follow_feed(company_id: UUID, feed_id: UUID) -> None:
    """Have a file of levels worked off, and ask what became of it: after half a minute, then less and less often, every
    five minutes at last; at once when the channel says that it is finished."""
    async with acting_for(company_id) as session:
        waiting = await sending.feed_due(session, feed_id)
    if waiting is None:
        return
    if isinstance(waiting, timedelta):
        raise Later(waiting)
    if isinstance(waiting, ToStart):
        await _start(company_id, waiting)
        return
    channel = opened(waiting.connection)
    if not isinstance(channel, FollowsFeeds):
        await _given_up(company_id, feed_id, waiting.connection, "This channel cannot be asked after files.")
        return
    try:
        told = await channel.feed(waiting.reference)
    except Disconnected as failure:
        await lost(waiting.connection, failure)
        return  # followed again when the store is connected
    except Refused as refusal:
        await _given_up(company_id, feed_id, waiting.connection, refusal.message)
        return
    async with acting_for(company_id) as session:
        delay = await sending.feed_told(session, feed_id, told)
        if delay is None:
            # What the file held back, or what goes by itself now that it failed.
            await enqueue_send(session, waiting.connection)
    if delay is not None:
        raise Later(delay)


async def _start(company_id: UUID, waiting: ToStart) -> None:
    """Our row says already that the channel is asked; a process that dies here leaves a file that is looked for."""
    try:
        channel = opened(waiting.connection)
        if not isinstance(channel, StartsFeeds):
            raise Refused("cannot_start", "This channel does not work off files that lie there.")
        reference = await channel.start_feed(waiting.reference, asked_at=waiting.asked_at, known=waiting.known)
    except Disconnected as failure:
        await _surely_unheard(company_id, waiting, None)
        await lost(waiting.connection, failure)
        return  # asked for again when the store is connected
    except Refused as refusal:
        async with acting_for(company_id) as session:
            told = FeedState(FeedStep.failed, reason=refusal.message)
            await sending.feed_told(session, waiting.feed_id, told)
            await enqueue_send(session, waiting.connection)
        return
    except (Later, Unavailable) as failure:
        if isinstance(failure, Later) or not failure.maybe_received:
            await _surely_unheard(company_id, waiting, failure.delay if isinstance(failure, Later) else None)
        raise
    async with acting_for(company_id) as session:
        await sending.feed_started(session, waiting.feed_id, reference)
    raise Later(sending.FIRST_LOOK)


async def _surely_unheard(company_id: UUID, waiting: ToStart, again_in: timedelta | None) -> None:
    async with acting_for(company_id) as session:
        await sending.not_asked(session, waiting, again_in)


@follow_feed.exhausted
async def _never_told(company_id: UUID, feed_id: UUID) -> None:
    """The file is waited for all the same: the clock asks again."""
    async with acting_for(company_id) as session:
        await sending.unanswered(session, feed_id, LEFT_ALONE)


async def _given_up(company_id: UUID, feed_id: UUID, connection: Connection, because: str) -> None:
    async with acting_for(company_id) as session:
        await sending.feed_lost(session, feed_id, because)
        await enqueue_send(session, connection)


async def follow_now(session: AsyncSession, company_id: UUID, feed_id: UUID) -> None:
    """Ask after a file at once, beside the look that waits for its time."""
    await follow_feed.with_(key=f"{feed_id}:now").enqueue(session, company_id=company_id, feed_id=feed_id)


async def enqueue_send(session: AsyncSession, connection: Connection) -> None:
    """One waiting job a store: it sends whatever is queued when it comes."""
    await send_stock.with_(key=f"{connection.company_id}:{connection.id}").enqueue(
        session, company_id=connection.company_id, connection_id=connection.id
    )


async def go_on(session: AsyncSession, connection: Connection) -> None:
    """The store may be used (again): send what waited, ask after its files."""
    await enqueue_send(session, connection)
    for feed_id in await sending.feeds_waiting(session, connection.id):
        await follow_now(session, connection.company_id, feed_id)


STORES_DUE = """
SELECT s.company_id, s.id FROM store_syncs s JOIN connections c ON c.company_id = s.company_id AND c.id = s.id
WHERE c.status = 'connected' AND coalesce(s.next_stock_at <= :now, true) AND coalesce(s.stock_busy_until <= :now, true)
  AND EXISTS (SELECT FROM stock_items i
              WHERE i.company_id = s.company_id AND i.connection_id = s.id AND i.state = 'queued')
LIMIT :most
"""

FEEDS_DUE = """
SELECT f.company_id, f.id FROM stock_feeds f
JOIN connections c ON c.company_id = f.company_id AND c.id = f.connection_id
WHERE c.status = 'connected' AND f.state = 'waiting' AND f.next_look_at < :overdue
ORDER BY f.next_look_at LIMIT :most
"""

OVERDUE = timedelta(minutes=3)


@job(name="channels.stock_due")
async def stock_due() -> None:
    """By the clock: what is queued for stores or waited for from them, and no job looks after any more."""
    now = clock.now()
    async with tenancy.acting_for_platform(why="stock left over") as session:
        stores = (await session.execute(text(STORES_DUE), {"now": now, "most": AT_ONCE})).all()
        await enqueue_many(
            session,
            send_stock,
            [{"company_id": row.company_id, "connection_id": row.id} for row in stores],
            keys=[f"{row.company_id}:{row.id}" for row in stores],
        )
        feeds = (await session.execute(text(FEEDS_DUE), {"overdue": now - OVERDUE, "most": AT_ONCE})).all()
        await enqueue_many(
            session,
            follow_feed,
            [{"company_id": row.company_id, "feed_id": row.id} for row in feeds],
            keys=[f"{row.id}:now" for row in feeds],
        )
