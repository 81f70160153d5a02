"""Reading all a store has of something: its listings, its stock in the marketplace's own warehouses.

A read goes through every page; only one that reached the end may say that what it did not see is gone. Two at once do
no harm: what the later one saw stays.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import listings, marketplace, sweeps, waiting
from shipcrowd.channels.contract import ListsProducts, ReportsMarketplaceStock, SalesChannel
from shipcrowd.channels.models import StoreSync, SyncEntry
from shipcrowd.channels.open import connected, lost, opened
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.jobs import Job, enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused
from shipcrowd.kernel.tenancy import acting_for

PATIENTLY = on(Exception, times=8, first=2.0)

LISTINGS_EVERY = timedelta(hours=24)
MARKETPLACE_EVERY = timedelta(hours=4)
AFTER_TROUBLE = timedelta(hours=1)
NOT_ABLE = timedelta(hours=24)
SETTLES = timedelta(minutes=1)
"""News of stock comes in bursts, and is read once for a burst."""

NEWS_EVERY = timedelta(minutes=15)
"""However much moves, the whole is not read more often for it."""

AT_ONCE = 1000


@dataclass(frozen=True)
class Kind:
    """One thing a store may be asked for as a whole. `name` is its word in the store's log; its columns in `StoreSync`
    are `<column>_read_at` and `next_<column>_at`."""

    name: str
    column: str
    every: timedelta
    most: int
    pages: Callable[[SalesChannel], AsyncIterator[Sequence[Any]] | None]
    take: Callable[[AsyncSession, Connection, Sequence[Any], datetime], Awaitable[int]]
    gone: Callable[[AsyncSession, Connection, datetime], Awaitable[None]]


LISTINGS = Kind(
    name="listings",
    column="listings",
    every=LISTINGS_EVERY,
    most=listings.MOST,
    pages=lambda channel: channel.listings() if isinstance(channel, ListsProducts) else None,
    take=listings.take,
    gone=listings.gone,
)
MARKETPLACE = Kind(
    name="marketplace_stock",
    column="marketplace",
    every=MARKETPLACE_EVERY,
    most=marketplace.MOST,
    pages=lambda channel: channel.marketplace_stock() if isinstance(channel, ReportsMarketplaceStock) else None,
    take=marketplace.take,
    gone=marketplace.gone,
)


@job(retry=PATIENTLY, seconds=1800, name="channels.read_listings")
async def read_listings(company_id: UUID, connection_id: UUID) -> None:
    """Read everything a store has on sale."""
    await _read(LISTINGS, company_id, connection_id)


@job(retry=PATIENTLY, seconds=1800, name="channels.read_marketplace_stock")
async def read_marketplace_stock(company_id: UUID, connection_id: UUID) -> None:
    """Read everything a store has in the marketplace's own warehouses."""
    await _read(MARKETPLACE, company_id, connection_id)


@read_listings.exhausted
async def _no_listings(company_id: UUID, connection_id: UUID) -> None:
    await _unanswered(LISTINGS, company_id, connection_id)


@read_marketplace_stock.exhausted
async def _no_marketplace_stock(company_id: UUID, connection_id: UUID) -> None:
    await _unanswered(MARKETPLACE, company_id, connection_id)


async def _read(kind: Kind, company_id: UUID, connection_id: UUID) -> None:
    connection = await connected(company_id, connection_id)
    if connection is None:
        return
    pages = kind.pages(opened(connection))
    if pages is None:
        async with acting_for(company_id) as session:
            await _plan(session, kind, connection_id, NOT_ABLE)
        return
    entry = SyncEntry(company_id=company_id, connection_id=connection_id, what=kind.name, started_at=clock.now())
    entry.pages = entry.inserted = entry.updated = entry.unchanged = entry.failed = 0
    try:
        with waiting.in_place():
            ended = await _all_pages(kind, connection, pages, entry)
    except Disconnected as failure:
        await lost(connection, failure)
        return
    except (Refused, Malformed) as failure:
        words = failure.message if isinstance(failure, Refused) else str(failure)
        await _record(kind, connection, entry, words, ended=False)
        return
    words = "" if ended else f"The store has more than {kind.most:,}; the rest was not read."
    await _record(kind, connection, entry, words, ended=ended)


async def _all_pages(kind: Kind, connection: Connection, pages: AsyncIterator[Sequence[Any]], entry: SyncEntry) -> bool:
    """Take in page after page; whether the end was reached within `kind.most`."""
    seen = 0
    async with waiting.closing(pages):
        async for found in pages:
            seen += len(found)
            if seen > kind.most:
                return False
            async with acting_for(connection.company_id) as session:
                inserted = await kind.take(session, connection, found, entry.started_at)
            entry.pages += 1
            entry.inserted += inserted
            entry.updated += len(found) - inserted
    return True


async def _record(kind: Kind, connection: Connection, entry: SyncEntry, error: str, *, ended: bool) -> None:
    async with acting_for(connection.company_id) as session:
        entry.finished_at, entry.error = clock.now(), error[:500]
        session.add(entry)
        changed: dict[str, Any] = {}
        if ended:
            await kind.gone(session, connection, entry.started_at)
            await connections.worked(session, connection.id)
            changed[f"{kind.column}_read_at"] = entry.started_at
        if kind is MARKETPLACE:
            changed["marketplace_error"] = entry.error
        await _plan(session, kind, connection.id, kind.every if ended else AFTER_TROUBLE, **changed)


async def _unanswered(kind: Kind, company_id: UUID, connection_id: UUID) -> None:
    async with acting_for(company_id) as session:
        connection = await connections.get(session, connection_id)
        await sweeps.note(session, connection, kind.name, error="The store did not answer when asked for all of it.")
        await _plan(session, kind, connection_id, AFTER_TROUBLE)


async def _plan(session: AsyncSession, kind: Kind, connection_id: UUID, wait: timedelta, **changed: Any) -> None:
    planned = {f"next_{kind.column}_at": clock.now() + wait, **changed}
    await session.execute(update(StoreSync).where(StoreSync.id == connection_id).values(planned))


# --- when -----------------------------------------------------------------------------------------------------------


async def read_now(session: AsyncSession, work: Job[...], connection: Connection) -> None:
    """Read all of it now, or once more when it is being read just now."""
    await work.with_(key=f"{connection.company_id}:{connection.id}").enqueue(
        session, company_id=connection.company_id, connection_id=connection.id
    )


async def marketplace_moved(session: AsyncSession, connection: Connection) -> None:
    """Something moved in the marketplace's own warehouses: they are read soon, and once for many such news."""
    sync = await session.get(StoreSync, (connection.company_id, connection.id))
    wait = SETTLES
    if sync is not None and sync.marketplace_read_at is not None:
        wait = max(sync.marketplace_read_at + NEWS_EVERY - clock.now(), SETTLES)
    await read_marketplace_stock.with_(key=f"{connection.company_id}:{connection.id}:moved", after=wait).enqueue(
        session, company_id=connection.company_id, connection_id=connection.id
    )


async def listings_ready(session: AsyncSession, connection: Connection) -> None:
    """What a read waits for is there: it is read now, beside the one that waits for its time."""
    await read_listings.with_(key=f"{connection.company_id}:{connection.id}:ready").enqueue(
        session, company_id=connection.company_id, connection_id=connection.id
    )


async def marketplace_unread(session: AsyncSession, connection: Connection) -> None:
    """It must be read before anything is pushed: have it read, unless somebody is at it already."""
    now = clock.now()
    claimed = await session.execute(
        update(StoreSync)
        .where(
            StoreSync.id == connection.id,
            StoreSync.next_marketplace_at.is_(None) | (StoreSync.next_marketplace_at <= now),
        )
        .values(next_marketplace_at=now + AFTER_TROUBLE)
        .returning(StoreSync.id)
    )
    if claimed.scalar_one_or_none() is not None:
        await read_now(session, read_marketplace_stock, connection)


@job(name="channels.read_due")
async def read_due() -> None:
    """By the clock: the stores whose listings or marketplace stock are due. Each is put off when its job is made, so
    that one that is under way is not begun again."""
    async with tenancy.acting_for_platform(why="read due listings and marketplace stock") as session:
        for kind, work in ((LISTINGS, read_listings), (MARKETPLACE, read_marketplace_stock)):
            due = f"next_{kind.column}_at"
            rows = await session.execute(
                text(
                    f"""
                    UPDATE store_syncs s SET {due} = :later FROM (
                        SELECT s.company_id, s.id FROM store_syncs s
                        JOIN connections c ON c.company_id = s.company_id AND c.id = s.id
                        WHERE c.status = 'connected' AND coalesce(s.{due} <= :now, true)
                        ORDER BY s.{due} NULLS FIRST LIMIT :most FOR UPDATE OF s SKIP LOCKED) found
                    WHERE s.company_id = found.company_id AND s.id = found.id RETURNING s.company_id, s.id
                    """
                ),
                {"now": clock.now(), "later": clock.now() + AFTER_TROUBLE, "most": AT_ONCE},
            )
            stores = rows.all()
            await enqueue_many(
                session,
                cast(Job[...], work),
                [{"company_id": row.company_id, "connection_id": row.id} for row in stores],
                keys=[f"{row.company_id}:{row.id}" for row in stores],
            )
