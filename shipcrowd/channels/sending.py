"""Stock on its way to a store: what is due, and what came of it. The calls themselves are in `stocking`.

One sender a store at a time, under a lease. Before anything is sent, what a newer push says otherwise is superseded;
what is in a file that the channel has not answered for holds back newer levels of the same thing, for the file might
be worked off after them. So an older number never lands after a newer one, whatever is retried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import contract, stock, vendors
from shipcrowd.channels.contract import FeedStep, FeedTicket, StockLevel, StockRefusal
from shipcrowd.channels.models import FeedState, StockFeed, StockItem, StockState, StoreSync
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Status
from shipcrowd.kernel import clock, db
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Later

LEASE = timedelta(minutes=4)
CALL_SECONDS = 150.0
"""One call with a batch: well within the lease, so that no call is under way when another sender begins."""

SINGLY_AT_ONCE = 20
LOOK_AGAIN = timedelta(seconds=15)

FIRST_LOOK = timedelta(seconds=30)
LOOKS_APART = timedelta(minutes=5)
SETTLED = timedelta(minutes=2)
"""What a channel was asked to work off stands among its files by then, or it was not heard."""
GIVEN_UP_AFTER = timedelta(hours=24)
"""A file the channel says nothing of for so long is not waited for any more."""


class LeaseLost(Exception):
    """This sender was slower than its lease; another one goes on."""


@dataclass
class Run:
    """One run of a sender. `marketplace_read_at`: when the marketplace's own stock was last read to its end."""

    connection: Connection
    started_at: datetime
    lease: datetime
    marketplace_read_at: datetime | None
    marketplace_error: str


@dataclass(frozen=True)
class Item:
    """One level to be sent."""

    id: UUID
    push_id: UUID
    level: StockLevel

    @property
    def key(self) -> tuple[str, str]:
        return self.level.external_variant_id, self.level.location


@dataclass(frozen=True)
class Batch:
    items: tuple[Item, ...]
    singly: bool

    @property
    def levels(self) -> list[StockLevel]:
        return [item.level for item in self.items]


# --- the lease ------------------------------------------------------------------------------------------------------


async def begin(session: AsyncSession, connection_id: UUID) -> Run | None:
    """Take the store's stock in hand; None when nothing is queued, or the store is not to be told now. Raises Later
    while another process has it: should that one have died, its lease runs out."""
    connection = await connections.get(session, connection_id)
    queued = exists().where(StockItem.connection_id == connection_id, StockItem.state == StockState.queued.value)
    if connection.status != Status.connected or not await session.scalar(select(queued)):
        return None
    sync = (
        await session.execute(select(StoreSync).where(StoreSync.id == connection_id).with_for_update())
    ).scalar_one()
    now = clock.now()
    if sync.stock_busy_until is not None and sync.stock_busy_until > now:
        raise Later(min(sync.stock_busy_until - now, LOOK_AGAIN))
    lease = sync.stock_busy_until = now + LEASE
    sync.next_stock_at = None
    return Run(connection, now, lease, sync.marketplace_read_at, sync.marketplace_error)


async def _renew(session: AsyncSession, run: Run) -> None:
    lease = clock.now() + LEASE
    held = await session.execute(
        update(StoreSync)
        .where(StoreSync.id == run.connection.id, StoreSync.stock_busy_until == run.lease)
        .values(stock_busy_until=lease)
        .returning(StoreSync.id)
    )
    if held.scalar_one_or_none() is None:
        raise LeaseLost
    run.lease = lease


async def let_go(session: AsyncSession, run: Run) -> None:
    await session.execute(
        update(StoreSync)
        .where(StoreSync.id == run.connection.id, StoreSync.stock_busy_until == run.lease)
        .values(stock_busy_until=None)
    )


async def not_before(session: AsyncSession, connection_id: UUID, at: datetime) -> None:
    """The store does not answer: the clock leaves it alone until then."""
    await session.execute(update(StoreSync).where(StoreSync.id == connection_id).values(next_stock_at=at))


# --- what is due ----------------------------------------------------------------------------------------------------

SUPERSEDE = """
UPDATE stock_items i SET state = 'superseded', code = NULL, reason = NULL, ended_at = $3
WHERE i.company_id = $1 AND i.connection_id = $2 AND i.state = 'queued'
  AND EXISTS (SELECT FROM stock_items n WHERE n.company_id = $1 AND n.connection_id = $2
                AND n.external_variant_id = i.external_variant_id AND n.location = i.location AND n.seq > i.seq)
RETURNING i.push_id
"""

HELD_THERE = """
UPDATE stock_items i SET state = 'refused', code = 'held_by_marketplace', ended_at = $3,
    reason = 'The marketplace holds and counts this itself, in its own warehouse.'
WHERE i.company_id = $1 AND i.connection_id = $2 AND i.state = 'queued' AND (
    i.external_variant_id IN (
        SELECT l.external_variant_id FROM listings l
        WHERE l.company_id = $1 AND l.connection_id = $2 AND l.fulfilment = 'marketplace_warehouse')
    OR ((i.external_variant_id IN (SELECT m.external_variant_id FROM marketplace_stock m WHERE m.company_id = $1
             AND m.connection_id = $2 AND m.gone_at IS NULL AND m.external_variant_id IS NOT NULL)
         OR coalesce(i.sku, i.external_variant_id) IN (SELECT m.sku FROM marketplace_stock m WHERE m.company_id = $1
             AND m.connection_id = $2 AND m.gone_at IS NULL))
        AND i.external_variant_id NOT IN (
            SELECT l.external_variant_id FROM listings l WHERE l.company_id = $1 AND l.connection_id = $2
              AND l.gone_at IS NULL AND l.fulfilment IN ('seller', 'marketplace_logistics'))))
RETURNING i.push_id
"""

PICK = """
SELECT i.id, i.push_id, i.external_variant_id, i.external_product_id, i.sku, i.location, i.available, i.singly
FROM stock_items i
WHERE i.company_id = $1 AND i.connection_id = $2 AND i.state = 'queued'
  AND NOT EXISTS (SELECT FROM stock_items w WHERE w.company_id = $1 AND w.connection_id = $2 AND w.state = 'waiting'
                    AND w.external_variant_id = i.external_variant_id AND w.location = i.location)
ORDER BY i.singly, i.seq, i.id LIMIT $3
"""


async def due(session: AsyncSession, run: Run) -> Batch | None:
    """The next levels to be sent, oldest push first; None when there are none now. What must not be sent any more is
    settled. Renews the lease. Raises LeaseLost."""
    await _renew(session, run)
    connection = run.connection
    store = (connection.company_id, connection.id)
    most = vendors.vendor(connection.vendor).stock_batch
    async with stock.in_bulk(session) as wire:
        settled = await wire.fetch(SUPERSEDE, *store, clock.now())
        settled += await wire.fetch(HELD_THERE, *store, clock.now())
        rows = await wire.fetch(PICK, *store, most)
    await _recount(session, settled)
    if not rows:
        return None
    singly = bool(rows[0]["singly"])
    alike = [row for row in rows if row["singly"] == singly]
    return Batch(tuple(map(_item, alike[:SINGLY_AT_ONCE] if singly else alike)), singly)


def _item(row: Mapping[str, Any]) -> Item:
    level = StockLevel(
        row["external_variant_id"], row["location"], row["available"], row["sku"], row["external_product_id"]
    )
    return Item(row["id"], row["push_id"], level)


async def _recount(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    await stock.recount(session, list({row["push_id"] for row in rows}))


# --- what came of it ------------------------------------------------------------------------------------------------

OUTCOME = """
UPDATE stock_items i SET state = r.state, code = r.code, reason = r.reason, ended_at = $3
FROM jsonb_to_recordset($2::text::jsonb) AS r(id uuid, state text, code text, reason text)
WHERE i.company_id = $1 AND i.id = r.id AND i.state = 'queued'
RETURNING i.push_id
"""

IN_FEED = """
UPDATE stock_items i SET state = 'waiting', feed_id = $3
WHERE i.company_id = $1 AND i.id = ANY($2::uuid[]) AND i.state = 'queued' RETURNING i.push_id
"""

ALL_REFUSED = """
UPDATE stock_items SET state = 'refused', code = $3, reason = $4, ended_at = $5
WHERE company_id = $1 AND connection_id = $2 AND state = 'queued' RETURNING push_id
"""


async def answered(session: AsyncSession, run: Run, batch: Batch, refusals: Sequence[StockRefusal]) -> None:
    """The store took the batch but for the refusals."""
    named = {(refusal.external_variant_id, refusal.location): refusal for refusal in refusals}
    rows: list[dict[str, Any]] = []
    for item in batch.items:
        variant, place = item.level.external_variant_id, item.level.location
        refusal = named.get((variant, place)) or named.get((variant, None))
        rows.append(
            {
                "id": item.id,
                "state": "refused" if refusal else "accepted",
                "code": refusal.code[:100] if refusal else None,
                "reason": refusal.message[:500] if refusal else None,
            }
        )
    await _write(session, run.connection.company_id, rows)


async def unreadable(session: AsyncSession, run: Run, batch: Batch, because: str) -> None:
    """The store answered something we cannot read: what it did with the batch is not known."""
    outcome = {"state": "unknown", "code": "unreadable_answer", "reason": because[:500]}
    await _write(session, run.connection.company_id, [{"id": item.id, **outcome} for item in batch.items])


async def refused(session: AsyncSession, connection: Connection, code: str, because: str) -> None:
    """The store takes no stock from us: everything that was to be sent to it is refused."""
    wire = await db.driver(session)
    rows = await wire.fetch(ALL_REFUSED, connection.company_id, connection.id, code[:100], because[:500], clock.now())
    await _recount(session, rows)


async def handed_over(session: AsyncSession, run: Run, batch: Batch, ticket: FeedTicket) -> UUID:
    """The channel took the batch as a file, but for the ticket's refusals; our id of it. The caller has it followed."""
    now, connection, reference = clock.now(), run.connection, ticket.reference
    if ticket.refusals:
        named = {(refusal.external_variant_id, refusal.location) for refusal in ticket.refusals}
        out = [item for item in batch.items if {item.key, (item.key[0], None)} & named]
        await answered(session, run, Batch(tuple(out), batch.singly), ticket.refusals)
    # A channel may give the same file the same reference when it is asked twice.
    made = await session.execute(
        insert(StockFeed)
        .values(
            company_id=connection.company_id,
            id=new_id(),
            connection_id=connection.id,
            reference=reference,
            sent_at=now,
            started_at=now if ticket.started else None,
            next_look_at=now + FIRST_LOOK,
        )
        .on_conflict_do_update(
            index_elements=[StockFeed.company_id, StockFeed.connection_id, StockFeed.reference],
            set_={"state": FeedState.waiting.value, "next_look_at": now + FIRST_LOOK, "ended_at": None},
        )
        .returning(StockFeed.id)
    )
    feed_id = made.scalar_one()
    wire = await db.driver(session)
    rows = await wire.fetch(IN_FEED, connection.company_id, [item.id for item in batch.items], feed_id)
    await _recount(session, rows)
    return feed_id


async def _write(session: AsyncSession, company_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
    wire = await db.driver(session)
    await _recount(session, await wire.fetch(OUTCOME, company_id, to_json(rows).decode(), clock.now()))


# --- files ----------------------------------------------------------------------------------------------------------

FEED_DONE = """
WITH refusals AS MATERIALIZED (
    SELECT DISTINCT ON (variant, location) *
    FROM jsonb_to_recordset($3::text::jsonb) AS r(variant text, location text, code text, reason text)
), outcome AS (
    SELECT i.id, coalesce(a.variant, b.variant) IS NOT NULL AS refused, coalesce(a.code, b.code) AS code,
           coalesce(a.reason, b.reason) AS reason
    FROM stock_items i
    LEFT JOIN refusals a ON a.variant = i.external_variant_id AND a.location = i.location
    LEFT JOIN refusals b ON b.variant = i.external_variant_id AND b.location IS NULL
    WHERE i.company_id = $1 AND i.feed_id = $2 AND i.state = 'waiting'
)
UPDATE stock_items i SET state = CASE WHEN o.refused THEN 'refused' ELSE 'accepted' END,
    code = o.code, reason = o.reason, ended_at = $4
FROM outcome o WHERE i.company_id = $1 AND i.id = o.id
RETURNING i.push_id
"""

FEED_FAILED = """
UPDATE stock_items SET code = 'feed_failed', reason = $3, singly = true,
    state = CASE WHEN singly THEN 'refused' ELSE 'queued' END, ended_at = CASE WHEN singly THEN $4::timestamptz END
WHERE company_id = $1 AND feed_id = $2 AND state = 'waiting' RETURNING push_id
"""

FEED_LOST = """
UPDATE stock_items SET state = 'unknown', code = 'no_report', reason = $3, ended_at = $4
WHERE company_id = $1 AND feed_id = $2 AND state = 'waiting' RETURNING push_id
"""


@dataclass(frozen=True)
class Waiting:
    """A file the channel has not answered for."""

    connection: Connection
    feed_id: UUID
    reference: str


@dataclass(frozen=True)
class ToStart(Waiting):
    """One that lies there. `asked_at`: it was asked for then, and nobody knows whether that was heard; `known` are the
    store's files that were made about then."""

    asked_at: datetime | None
    known: frozenset[str]


async def feed_due(session: AsyncSession, feed_id: UUID) -> Waiting | timedelta | None:
    """The file to be asked after; None when it came to its end, or the store is not to be called now. One that lies
    there is taken as asked for from now on, whatever becomes of the process: how long to wait while it is not yet sure
    what was heard of this one, or of another of the store's, so that never two of them have to be told apart."""
    query = select(StockFeed).where(StockFeed.id == feed_id, StockFeed.state == FeedState.waiting.value)
    feed = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if feed is None:
        return None
    connection = await connections.get(session, feed.connection_id)
    if connection.status != Status.connected:
        return None
    if feed.started_at is not None:
        return Waiting(connection, feed.id, feed.reference)
    await session.execute(select(StoreSync.id).where(StoreSync.id == connection.id).with_for_update())  # one at a time
    now, before = clock.now(), feed.asked_at
    of_store = select(StockFeed.reference).where(StockFeed.connection_id == connection.id, StockFeed.id != feed.id)
    open_asks = of_store.where(
        StockFeed.state == FeedState.waiting.value,
        StockFeed.started_at.is_(None),
        StockFeed.asked_at < (before or now),
    )
    if (before is not None and now - before < SETTLED) or await session.scalar(open_asks.limit(1)) is not None:
        feed.next_look_at = now + SETTLED + FIRST_LOOK  # its job comes back: the clock need not make another
        return SETTLED
    known: Sequence[str] = ()
    since = feed.first_asked_at if before is not None else None
    if since is not None:
        known = (await session.execute(of_store.where(StockFeed.started_at >= since - SETTLED))).scalars().all()
    feed.asked_at, feed.first_asked_at = now, since or now
    return ToStart(connection, feed.id, feed.reference, since, frozenset(known))


async def feed_started(session: AsyncSession, feed_id: UUID, reference: str) -> None:
    """The channel works the file off, under this reference of its own."""
    feed = await _locked(session, feed_id)
    now = clock.now()
    feed.reference, feed.started_at, feed.next_look_at = reference, now, now + FIRST_LOOK


async def not_asked(session: AsyncSession, waiting: ToStart, again_in: timedelta | None) -> None:
    """It was surely not heard this time; its job asks again in a while (None: nobody knows when)."""
    feed = await _locked(session, waiting.feed_id)
    feed.asked_at = feed.first_asked_at = waiting.asked_at
    if again_in is not None:
        feed.next_look_at = clock.now() + again_in + FIRST_LOOK


async def feed_told(session: AsyncSession, feed_id: UUID, told: contract.FeedState) -> timedelta | None:
    """Record what the channel says of a file: every item gets its end, or goes once more by itself where the file
    failed as a whole. How long to wait before asking again; None when it came to its end. Safe to repeat."""
    feed = await _locked(session, feed_id)
    if feed.state != FeedState.waiting:
        return None
    now = clock.now()
    if told.step is FeedStep.under_way:
        if now - feed.sent_at > GIVEN_UP_AFTER:
            await _lost(session, feed, "The channel never said what came of the file.")
            return None
        delay = min(FIRST_LOOK * 2**feed.looks, LOOKS_APART)
        feed.looks, feed.next_look_at = min(feed.looks + 1, 10), now + delay
        return delay
    wire = await db.driver(session)
    if told.step is FeedStep.done:
        rows = [
            {
                "variant": refusal.external_variant_id,
                "location": refusal.location,
                "code": refusal.code[:100],
                "reason": refusal.message[:500],
            }
            for refusal in told.refusals
        ]
        async with stock.in_bulk(session) as wire:
            done = await wire.fetch(FEED_DONE, feed.company_id, feed.id, to_json(rows).decode(), now)
        feed.state = FeedState.done
    else:
        words = told.reason[:500] or "The channel could not work off the file."
        done = await wire.fetch(FEED_FAILED, feed.company_id, feed.id, words, now)
        feed.state, feed.reason = FeedState.failed, words
    feed.ended_at = now
    await session.flush()
    await _recount(session, done)
    return None


async def feed_lost(session: AsyncSession, feed_id: UUID, because: str) -> None:
    """The channel does not say what came of a file. Safe to repeat."""
    feed = await _locked(session, feed_id)
    if feed.state == FeedState.waiting:
        await _lost(session, feed, because)


async def unanswered(session: AsyncSession, feed_id: UUID, later: timedelta) -> None:
    """The channel could not be asked about a file: the clock does later, as long as that makes sense."""
    feed = await _locked(session, feed_id)
    if feed.state != FeedState.waiting:
        return
    if clock.now() - feed.sent_at > GIVEN_UP_AFTER:
        await _lost(session, feed, "The channel could not be asked what came of the file.")
    else:
        feed.next_look_at = clock.now() + later


async def feed_named(session: AsyncSession, connection_id: UUID, reference: str) -> UUID | None:
    """A file of this store that is waited for, by the channel's reference."""
    query = select(StockFeed.id).where(
        StockFeed.connection_id == connection_id,
        StockFeed.reference == reference,
        StockFeed.state == FeedState.waiting.value,
    )
    return (await session.execute(query)).scalar_one_or_none()


async def feeds_waiting(session: AsyncSession, connection_id: UUID, *, limit: int = 1000) -> Sequence[UUID]:
    """The files of this store that are waited for."""
    query = (
        select(StockFeed.id)
        .where(StockFeed.connection_id == connection_id, StockFeed.state == FeedState.waiting.value)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def _lost(session: AsyncSession, feed: StockFeed, because: str) -> None:
    now = clock.now()
    feed.state, feed.reason, feed.ended_at = FeedState.lost, because[:500], now
    await session.flush()
    wire = await db.driver(session)
    await _recount(session, await wire.fetch(FEED_LOST, feed.company_id, feed.id, because[:500], now))


async def _locked(session: AsyncSession, feed_id: UUID) -> StockFeed:
    query = select(StockFeed).where(StockFeed.id == feed_id).with_for_update()
    return (await session.execute(query.execution_options(populate_existing=True))).scalar_one()
