"""Reading a store from where we last were: what webhooks missed is found here, so nothing is lost.

A sweep asks for every order changed since its mark, a little before it, and moves the mark page by page; one that was
cut short goes on where it was. One sweep runs at a time for a store: a lease on its row, renewed with every page,
which runs out when the process dies.

Where a channel can be asked so, a store's first sweep, the import, goes by when orders were placed: what the seller
wants is the orders of so many days. What changed while it ran is the next one's, which begins where the import began.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import vendors
from shipcrowd.channels.contract import Page
from shipcrowd.channels.importing import Source, Taken
from shipcrowd.channels.models import StoreSync, SyncEntry
from shipcrowd.channels.open import opened
from shipcrowd.channels.orders_contract import ListsPlaced
from shipcrowd.channels.schemas import StoreSettings
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Status
from shipcrowd.kernel import clock
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Later

LEASE = timedelta(minutes=5)
LOOK_AGAIN = timedelta(seconds=60)


class LeaseLost(Exception):
    """This sweep took longer over a page than its lease; another one goes on from where it was."""


@dataclass
class Run:
    """One run of a sweep. `since` is where it starts to read, `started_at` what it will have read through."""

    source: Source
    connection: Connection
    entry_id: UUID
    since: datetime
    started_at: datetime
    every: timedelta
    lease: datetime
    position: datetime
    placed: bool = False
    """The import, by the time of placing."""


def settings_of(connection: Connection) -> StoreSettings:
    return StoreSettings.model_validate(connection.settings)


def every(connection: Connection) -> timedelta:
    """How often this store is swept."""
    minutes = settings_of(connection).sweep_minutes
    return timedelta(minutes=minutes) if minutes else vendors.vendor(connection.vendor).sweep_every


async def begin(session: AsyncSession, connection_id: UUID) -> Run | None:
    """Take the store's sweep, or go on with the one cut short; None when the store is not to be read now.

    Raises Later while another process sweeps it: should that one have died, its lease runs out.
    """
    connection = await connections.get(session, connection_id)
    if connection.status != Status.connected:
        return None
    sync = (
        await session.execute(select(StoreSync).where(StoreSync.id == connection_id).with_for_update())
    ).scalar_one()
    now = clock.now()
    if sync.sweeping_until is not None and sync.sweeping_until > now:
        raise Later(min(sync.sweeping_until - now, LOOK_AGAIN))
    if sync.sweep_started_at is None or sync.sweep_position is None:
        sync.sweep_started_at = now
        sync.sweep_position = _start(sync, connection)
    lease = sync.sweeping_until = now + LEASE
    sync.next_sweep_at = now + every(connection)
    entry = SyncEntry(
        company_id=connection.company_id, id=new_id(), connection_id=connection_id, what="orders", started_at=now
    )
    session.add(entry)
    return Run(
        source=Source(connection.company_id, connection_id, connection.vendor),
        connection=connection,
        entry_id=entry.id,
        since=sync.sweep_position,
        started_at=now,
        every=every(connection),
        lease=lease,
        position=sync.sweep_position,
        placed=sync.last_sweep_at is None and isinstance(opened(connection), ListsPlaced),
    )


def pages(run: Run) -> AsyncIterator[Page]:
    """What the run reads, page by page."""
    channel = opened(run.connection)
    if run.placed and isinstance(channel, ListsPlaced):
        return channel.placed(run.since)
    return channel.orders(run.since)


def _start(sync: StoreSync, connection: Connection) -> datetime:
    if sync.swept_through is None:
        return connection.connected_at - timedelta(days=settings_of(connection).import_days)
    # Vendors' lists lag behind what happened; what was seen already is recognised as unchanged.
    return sync.swept_through - vendors.vendor(connection.vendor).overlap


async def advance(session: AsyncSession, run: Run, taken: Taken, through: datetime | None, *, pages: int = 1) -> None:
    """Pages were taken in: move the mark, renew the lease. Raises LeaseLost."""
    lease = clock.now() + LEASE
    moved = await session.execute(
        update(StoreSync)
        .where(StoreSync.id == run.source.connection_id, StoreSync.sweeping_until == run.lease)
        .values(
            sweep_position=func.greatest(StoreSync.sweep_position, through),
            swept_through=func.greatest(StoreSync.swept_through, None if run.placed else through),
            sweeping_until=lease,
            orders_imported=StoreSync.orders_imported + taken.inserted,
        )
        .returning(StoreSync.sweep_position)
    )
    position = moved.scalar_one_or_none()
    if position is None:
        raise LeaseLost
    await session.execute(
        update(SyncEntry)
        .where(SyncEntry.id == run.entry_id)
        .values(
            pages=SyncEntry.pages + pages,
            inserted=SyncEntry.inserted + taken.inserted,
            updated=SyncEntry.updated + taken.updated,
            unchanged=SyncEntry.unchanged + taken.unchanged,
            failed=SyncEntry.failed + taken.failed,
        )
    )
    run.lease, run.position = lease, position


async def finish(session: AsyncSession, run: Run) -> None:
    """The end was reached: everything changed before this run began has been seen; of an import of several runs, what
    changed before the first of them, for the later ones did not come back to what that one read."""
    now = clock.now()
    through = func.least(StoreSync.sweep_started_at, run.started_at) if run.placed else run.started_at
    await session.execute(
        update(StoreSync)
        .where(StoreSync.id == run.source.connection_id, StoreSync.sweeping_until == run.lease)
        .values(
            swept_through=func.greatest(StoreSync.swept_through, through),
            sweep_started_at=None,
            sweep_position=None,
            sweeping_until=None,
            last_sweep_at=now,
            next_sweep_at=now + run.every,
        )
    )
    await _end_entry(session, run, "")
    await connections.worked(session, run.source.connection_id)


async def stop(session: AsyncSession, run: Run, error: str = "") -> None:
    """The run ends before the sweep does; the next one goes on at its mark."""
    await session.execute(
        update(StoreSync)
        .where(StoreSync.id == run.source.connection_id, StoreSync.sweeping_until == run.lease)
        .values(sweeping_until=None)
    )
    await _end_entry(session, run, error)


async def _end_entry(session: AsyncSession, run: Run, error: str) -> None:
    await session.execute(
        update(SyncEntry).where(SyncEntry.id == run.entry_id).values(finished_at=clock.now(), error=error[:500])
    )


async def reach_back(session: AsyncSession, connection_id: UUID, since: datetime) -> None:
    """Let the next sweep start at `since`, however far the store was read before. One that runs now loses its lease:
    it would end by moving the mark past all of that."""
    await session.execute(
        update(StoreSync)
        .where(StoreSync.id == connection_id)
        .values(sweep_started_at=clock.now(), sweep_position=since, sweeping_until=None, next_sweep_at=clock.now())
    )


async def note(
    session: AsyncSession, connection: Connection, what: str, *, error: str = "", started_at: datetime | None = None
) -> None:
    """One line in the store's log, for what is no sweep."""
    now = clock.now()
    session.add(
        SyncEntry(
            company_id=connection.company_id,
            connection_id=connection.id,
            what=what,
            started_at=started_at or now,
            finished_at=now,
            error=error[:500],
        )
    )


async def count(session: AsyncSession, connection_id: UUID, inserted: int) -> None:
    """So many new orders were taken in, by reading them one by one."""
    if inserted:
        counted = StoreSync.orders_imported + inserted
        await session.execute(update(StoreSync).where(StoreSync.id == connection_id).values(orders_imported=counted))


async def seen_webhook(session: AsyncSession, connection_id: UUID, at: datetime, inserted: int) -> None:
    """Webhooks arrive, and brought so many new orders. Quiet about the time while it moved little, so that a busy
    store's deliveries do not queue up for one row."""
    quiet = at - timedelta(seconds=30)
    query = update(StoreSync).where(StoreSync.id == connection_id)
    if not inserted:
        query = query.where((StoreSync.last_webhook_at.is_(None)) | (StoreSync.last_webhook_at < quiet))
    await session.execute(
        query.values(
            last_webhook_at=func.greatest(StoreSync.last_webhook_at, at),
            orders_imported=StoreSync.orders_imported + inserted,
        )
    )
