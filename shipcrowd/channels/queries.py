"""Reads: stores with how they fare, and their logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import announcements, health, sweeps, vendors
from shipcrowd.channels.health import Facts, Level
from shipcrowd.channels.models import (
    Announcement,
    FailedItem,
    PushState,
    StockPush,
    StoreSync,
    SyncEntry,
)
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Kind, Status
from shipcrowd.kernel import clock, pages


@dataclass(frozen=True)
class Store:
    """A store and how it fares."""

    connection: Connection
    sync: StoreSync
    open_failures: int
    refused_announcements: int

    @property
    def lag(self) -> timedelta | None:
        """How far behind the reading of the store is; None before anything was read."""
        through = self.sync.swept_through
        return None if through is None else max(clock.now() - through, timedelta(0))

    @property
    def lapses_at(self) -> datetime | None:
        """When the seller must have signed in again; None where never, or where it is too late to ask."""
        vendor = vendors.vendor(self.connection.vendor)
        if self.connection.credentials is None or self.connection.status == Status.disconnected:
            return None
        return vendor.lapses_at(connections.credentials(self.connection, vendor.credentials))

    def verdict(self) -> tuple[Level, str]:
        return health.verdict(
            Facts(
                status=Status(self.connection.status),
                reason=self.connection.reason,
                lag=self.lag,
                waited=clock.now() - self.connection.connected_at,
                every=sweeps.every(self.connection),
                errors_in_a_row=self.connection.consecutive_errors,
                last_error=self.connection.last_error,
                open_failures=self.open_failures,
                refused_announcements=self.refused_announcements,
                missing_scopes=self.sync.missing_scopes,
                lapses_in=None if self.lapses_at is None else self.lapses_at - clock.now(),
            )
        )


async def stores(session: AsyncSession, *, vendor: str | None = None, closed: bool = False) -> list[Store]:
    """The acting company's stores, oldest first: four queries, however many stores."""
    found = await connections.list_connections(session, kind=Kind.channel, vendor=vendor, closed=closed)
    known = {each.slug for each in vendors.vendors()}
    return await _with_facts(session, [connection for connection in found if connection.vendor in known])


async def store(session: AsyncSession, connection_id: UUID, *, vendor: str | None = None) -> Store:
    """One store. Raises UnknownConnection."""
    connection = await connections.get(session, connection_id, vendor=vendor)
    found = await _with_facts(session, [connection])
    if not found:
        raise connections.UnknownConnection()
    return found[0]


async def _with_facts(session: AsyncSession, found: Sequence[Connection]) -> list[Store]:
    ids = [connection.id for connection in found]
    syncs = {
        sync.id: sync for sync in (await session.execute(select(StoreSync).where(StoreSync.id.in_(ids)))).scalars()
    }
    failures = await session.execute(
        select(FailedItem.connection_id, func.count().label("found"))
        .where(FailedItem.connection_id.in_(ids), FailedItem.resolved_at.is_(None))
        .group_by(FailedItem.connection_id)
    )
    refused = await session.execute(
        select(Announcement.connection_id, func.count().label("found"))
        .where(Announcement.connection_id.in_(ids), announcements.UNTOLD)
        .group_by(Announcement.connection_id)
    )
    open_failures: Mapping[UUID, int] = {row.connection_id: row.found for row in failures}
    refusals: Mapping[UUID, int] = {row.connection_id: row.found for row in refused}
    return [
        Store(connection, syncs[connection.id], open_failures.get(connection.id, 0), refusals.get(connection.id, 0))
        for connection in found
        if connection.id in syncs
    ]


async def log(
    session: AsyncSession, connection_id: UUID, *, after: str | None = None, limit: int = 50
) -> tuple[Sequence[SyncEntry], str | None]:
    """What was done with a store, newest first."""
    query = (
        select(SyncEntry)
        .where(SyncEntry.connection_id == connection_id)
        .order_by(SyncEntry.started_at.desc(), SyncEntry.id.desc())
        .limit(limit + 1)
    )
    if after:
        query = query.where(pages.older_than(SyncEntry.started_at, SyncEntry.id, after))
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda entry: (entry.started_at, entry.id))


async def open_pushes(session: AsyncSession, connection_id: UUID) -> int:
    """How many stock pushes of a store have not come to their end."""
    query = select(func.count()).where(
        StockPush.connection_id == connection_id, StockPush.state != PushState.done.value
    )
    return (await session.execute(query)).scalar_one()
