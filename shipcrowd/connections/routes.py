"""From a vendor's account to the company that connected it, before the company is known.

Found routes are remembered in the process for `REMEMBERED`. A closed account can be taken over by another company
only after `HANDOVER`, which is longer than any process may remember the old route: no delivery strays.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.connections.models import Connection, ConnectionRoute
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.errors import Conflict

REMEMBERED = timedelta(seconds=15)
HANDOVER = timedelta(seconds=60)
ROOM = 10_000


class ConnectedElsewhere(Conflict):
    """This account is connected to another company here."""


@dataclass(frozen=True)
class Route:
    """`released`: the account was closed; only a vendor's last messages still concern us."""

    company_id: UUID
    connection_id: UUID
    vendor: str
    external_id: str
    released: bool


class _Known:
    """Positive answers only: an account that is connected now must be found now."""

    by_account: ClassVar[dict[tuple[str, str], tuple[datetime, Route]]] = {}


async def route(vendor: str, external_id: str) -> Route | None:
    """Whose account this is; None when nobody connected it. At most `REMEMBERED` out of date."""
    now = clock.now()
    known = _Known.by_account.get((vendor, external_id))
    if known is not None and known[0] > now:
        return known[1]
    found = await _look(ConnectionRoute.vendor == vendor, ConnectionRoute.external_id == external_id)
    if found is None:
        forget(vendor, external_id)
    else:
        while len(_Known.by_account) >= ROOM:
            del _Known.by_account[next(iter(_Known.by_account))]
        _Known.by_account[vendor, external_id] = (now + REMEMBERED, found)
    return found


async def route_of(connection_id: UUID) -> Route | None:
    """The route of one connection. Not remembered."""
    return await _look(ConnectionRoute.connection_id == connection_id)


async def _look(*conditions: ColumnElement[bool]) -> Route | None:
    async with tenancy.unowned() as session:
        row = (await session.execute(select(ConnectionRoute).where(*conditions))).scalar_one_or_none()
    if row is None:
        return None
    return Route(row.company_id, row.connection_id, row.vendor, row.external_id, row.released_at is not None)


def forget(vendor: str, external_id: str) -> None:
    """Drop what this process remembers of one account."""
    _Known.by_account.pop((vendor, external_id), None)


async def claim(session: AsyncSession, connection: Connection) -> None:
    """Make the account this connection's. Raises ConnectedElsewhere, naming the account."""
    now = clock.now()
    offered = insert(ConnectionRoute).values(
        vendor=connection.vendor,
        external_id=connection.external_id,
        company_id=connection.company_id,
        connection_id=connection.id,
        released_at=None,
    )
    claimed = await session.execute(
        offered.on_conflict_do_update(
            index_elements=[ConnectionRoute.vendor, ConnectionRoute.external_id],
            set_={
                "company_id": offered.excluded.company_id,
                "connection_id": offered.excluded.connection_id,
                "released_at": None,
            },
            where=or_(
                ConnectionRoute.company_id == connection.company_id, ConnectionRoute.released_at <= now - HANDOVER
            ),
        ).returning(ConnectionRoute.connection_id)
    )
    if claimed.scalar_one_or_none() is None:
        raise ConnectedElsewhere(
            f"{connection.external_id} is connected to another company. Disconnect it there, wait a minute, and "
            "connect it here.",
            field="store",
        )
    forget(connection.vendor, connection.external_id)


async def release(session: AsyncSession, connection: Connection) -> None:
    """Let go of the account; another company may take it after `HANDOVER`."""
    await session.execute(
        update(ConnectionRoute)
        .where(ConnectionRoute.connection_id == connection.id, ConnectionRoute.released_at.is_(None))
        .values(released_at=clock.now())
    )
    forget(connection.vendor, connection.external_id)
