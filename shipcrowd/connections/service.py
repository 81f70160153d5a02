"""What is done to accounts at outside vendors: connect, pause, resume, close, and note how they fare.

Row locks are taken in one order: the connection, then its route. Nothing here is called while a vendor is; renewing
credentials, which needs the vendor, is `renewal`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import LargeBinary, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.connections import routes, sealing
from shipcrowd.connections.events import ConnectionLost, ConnectionPaused
from shipcrowd.connections.models import MOVES, Connection, Kind, Status
from shipcrowd.connections.renewal import fresh
from shipcrowd.connections.routes import ConnectedElsewhere, Route, route, route_of
from shipcrowd.connections.signin import SignInStale, finish_sign_in, forget_stale_sign_ins, start_sign_in
from shipcrowd.kernel import clock, crypto, tenancy
from shipcrowd.kernel.errors import Conflict, NotFound
from shipcrowd.kernel.events import publish
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Disconnected

__all__ = [
    "ConnectedElsewhere",
    "Route",
    "SignInStale",
    "finish_sign_in",
    "forget_stale_sign_ins",
    "fresh",
    "route",
    "route_of",
    "start_sign_in",
]

M = TypeVar("M", bound=BaseModel)

ERRORS_ALLOWED = 10
"""As many errors in a row pause an account."""

KEPT_AFTER_CLOSING = timedelta(days=7)
"""A vendor's last messages (a shop's data must go: two days later at Shopify) are checked with the old secrets."""

OK_NOTED_EVERY = timedelta(minutes=1)


class UnknownConnection(NotFound):
    """There is no such account here."""


class WrongConnectionState(Conflict):
    """The account's present state does not allow this."""


# --- reading --------------------------------------------------------------------------------------------------------


async def get(session: AsyncSession, connection_id: UUID, *, vendor: str | None = None) -> Connection:
    """One account of the acting company; of `vendor`, when one is named. Raises UnknownConnection."""
    return await _one(session, connection_id, vendor=vendor, lock=False)


async def locked(session: AsyncSession, connection_id: UUID) -> Connection:
    """One account of the acting company, its row locked until the transaction ends. Raises UnknownConnection."""
    return await _one(session, connection_id)


async def find(session: AsyncSession, *, vendor: str, external_id: str) -> Connection | None:
    """The acting company's account of that name at the vendor."""
    return (
        await session.execute(
            select(Connection).where(Connection.vendor == vendor, Connection.external_id == external_id)
        )
    ).scalar_one_or_none()


async def list_connections(
    session: AsyncSession, *, kind: Kind | None = None, vendor: str | None = None, closed: bool = False
) -> Sequence[Connection]:
    """The acting company's accounts, oldest first; those it closed (or was removed from) only with `closed`."""
    query = select(Connection).order_by(Connection.created_at, Connection.id)
    if kind is not None:
        query = query.where(Connection.kind == kind.value)
    if vendor is not None:
        query = query.where(Connection.vendor == vendor)
    if not closed:
        query = query.where(Connection.closed_at.is_(None))
    return (await session.execute(query)).scalars().all()


def credentials(connection: Connection, model: type[M]) -> M:
    """The account's credentials, as stored. Raises Disconnected when they were forgotten after it was closed,
    CannotDecrypt and CredentialsDoNotFit."""
    if connection.credentials is None:
        raise Disconnected("The account was closed; connect it again.")
    return sealing.unseal(connection.credentials, model, connection.company_id, connection.id)


# --- connecting and closing -----------------------------------------------------------------------------------------


async def connect(
    session: AsyncSession,
    *,
    vendor: str,
    kind: Kind,
    external_id: str,
    name: str,
    credentials: BaseModel,
    expires_at: datetime | None = None,
    settings: dict[str, Any] | None = None,
    exclusive: bool | None = None,
) -> Connection:
    """Connect an account, or connect it again: it is revived under the same id, with a new credentials version.

    The credentials were tried by the caller. An `exclusive` account (by default a channel's) belongs to one company:
    raises ConnectedElsewhere when that is another one. `settings` replaces what is kept; None leaves it.
    """
    company_id = tenancy.company_of(session)
    now = clock.now()
    await session.execute(
        insert(Connection)
        .values(
            company_id=company_id,
            id=new_id(),
            vendor=vendor,
            kind=kind.value,
            external_id=external_id,
            name=name,
            status=Status.disconnected.value,
            connected_at=now,
            settings={},
        )
        .on_conflict_do_nothing(
            index_elements=[Connection.company_id, Connection.vendor, Connection.external_id],
        )
    )
    connection = (
        await session.execute(
            select(Connection)
            .where(Connection.vendor == vendor, Connection.external_id == external_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).scalar_one()
    connection.name = name
    connection.status, connection.reason = Status.connected.value, ""
    connection.credentials = sealing.seal(credentials, company_id, connection.id)
    connection.credentials_version += 1
    connection.expires_at, connection.renewing_until = expires_at, None
    connection.connected_at, connection.closed_at = now, None
    connection.last_ok_at, connection.last_error, connection.last_error_at = now, "", None
    connection.consecutive_errors = 0
    if settings is not None:
        connection.settings = settings
    await session.flush()
    if exclusive if exclusive is not None else kind is Kind.channel:
        await routes.claim(session, connection)
    return connection


async def pause(session: AsyncSession, connection_id: UUID, *, reason: str = "Paused by the seller") -> Connection:
    """Stop using the account for now. Raises UnknownConnection, WrongConnectionState."""
    connection = await _one(session, connection_id)
    if connection.status != Status.paused:
        _move(connection, Status.paused, reason)
    return connection


async def resume(session: AsyncSession, connection_id: UUID) -> Connection:
    """Use a paused account again. Raises UnknownConnection, WrongConnectionState (it must be connected again)."""
    connection = await _one(session, connection_id)
    if connection.status not in (Status.paused, Status.connected):
        raise WrongConnectionState(f"The account is {connection.status}; connect it again.")
    if connection.status == Status.paused:
        _move(connection, Status.connected, "")
        connection.consecutive_errors = 0
    return connection


async def disconnect(session: AsyncSession, connection_id: UUID, *, reason: str = "Disconnected here") -> Connection:
    """The seller cuts the account. Raises UnknownConnection. Its orders stay; so do, for `KEPT_AFTER_CLOSING`, its
    sealed credentials, so that the vendor's last messages can still be told from forged ones."""
    connection = await _one(session, connection_id)
    if connection.status != Status.disconnected:
        _move(connection, Status.disconnected, reason)
    await _close(session, connection)
    return connection


async def left(session: AsyncSession, connection_id: UUID, *, reason: str = "Removed at the store") -> Connection:
    """The seller removed us at the vendor's side. Raises UnknownConnection."""
    connection = await _one(session, connection_id)
    if connection.status != Status.left:
        _move(connection, Status.left, reason)
    await _close(session, connection)
    return connection


async def lost(
    session: AsyncSession, connection_id: UUID, reason: str, *, connected_at: datetime | None = None
) -> bool:
    """The vendor no longer accepts our credentials: mark it and publish ConnectionLost. The account stays ours.

    `connected_at` is what the caller saw when it opened the account: when the account was connected again meanwhile,
    the failure says nothing about it. False when nothing was marked.
    """
    connection = await _one(session, connection_id)
    if connection.status not in (Status.connected, Status.paused):
        return False
    if connected_at is not None and connection.connected_at != connected_at:
        return False
    _move(connection, Status.disconnected, reason[:500])
    connection.last_error, connection.last_error_at = reason[:500], clock.now()
    await publish(session, ConnectionLost(connection.company_id, connection.id))
    return True


async def configure(session: AsyncSession, connection_id: UUID, settings: dict[str, Any]) -> Connection:
    """Replace the settings kept with the account. Raises UnknownConnection."""
    connection = await _one(session, connection_id)
    connection.settings = settings
    return connection


def keep(connection: Connection, credentials: BaseModel) -> None:
    """Replace the credentials of a locked account by ones that need no trying (a webhook secret of our own making)."""
    connection.credentials = sealing.seal(credentials, connection.company_id, connection.id)
    connection.credentials_version += 1


async def remember(
    company_id: UUID,
    connection_id: UUID,
    credentials: BaseModel,
    *,
    version: int,
    expires_at: datetime | None = None,
) -> int | None:
    """Store credentials a vendor changed in passing (a session token), in a transaction of its own; their version.

    `version` is that of the credentials they were made from. None, and nothing stored, when the account was closed,
    or has other credentials by now: a token must not bring back the password it was got with.
    """
    async with tenancy.acting_for(company_id) as session:
        stored = await session.execute(
            update(Connection)
            .where(
                Connection.id == connection_id,
                Connection.closed_at.is_(None),
                Connection.credentials_version == version,
            )
            .values(
                credentials=sealing.seal(credentials, company_id, connection_id),
                credentials_version=Connection.credentials_version + 1,
                expires_at=expires_at,
            )
            .returning(Connection.credentials_version)
        )
        return stored.scalar_one_or_none()


# --- health ---------------------------------------------------------------------------------------------------------


def worth_noting(connection: Connection) -> bool:
    """Whether a call that succeeded tells anything that this row, as it was read, does not."""
    ok = connection.last_ok_at
    return connection.consecutive_errors > 0 or ok is None or ok < clock.now() - OK_NOTED_EVERY


async def worked(session: AsyncSession, connection_id: UUID) -> None:
    """A call succeeded: the errors in a row are over. Writes at most once a minute while nothing was wrong."""
    now = clock.now()
    await session.execute(
        update(Connection)
        .where(
            Connection.id == connection_id,
            or_(
                Connection.consecutive_errors > 0,
                Connection.last_ok_at.is_(None),
                Connection.last_ok_at < now - OK_NOTED_EVERY,
            ),
        )
        .values(last_ok_at=now, consecutive_errors=0)
    )


async def failed(session: AsyncSession, connection_id: UUID, error: str) -> bool:
    """Something went wrong with the account, after all tries. Pauses it (and publishes ConnectionPaused) after
    `ERRORS_ALLOWED` in a row; whether it did. `error` is shown to the seller. Raises UnknownConnection."""
    connection = await _one(session, connection_id)
    connection.consecutive_errors += 1
    connection.last_error, connection.last_error_at = error[:500], clock.now()
    if connection.consecutive_errors < ERRORS_ALLOWED or connection.status != Status.connected:
        return False
    _move(connection, Status.paused, f"Paused after {connection.consecutive_errors} errors in a row: {error}"[:500])
    await publish(session, ConnectionPaused(connection.company_id, connection.id))
    return True


# --- housekeeping ---------------------------------------------------------------------------------------------------


async def forget_closed(session: AsyncSession) -> int:
    """Delete the credentials and the routes of accounts closed longer than `KEPT_AFTER_CLOSING`; how many."""
    before = clock.now() - KEPT_AFTER_CLOSING
    forgotten = (
        await session.execute(
            update(Connection)
            .where(Connection.closed_at < before, Connection.credentials.is_not(None))
            .values(credentials=None, expires_at=None, credentials_version=Connection.credentials_version + 1)
            .returning(Connection.id)
        )
    ).all()
    await session.execute(
        text("DELETE FROM connection_routes WHERE released_at < :before"),
        {"before": before},
    )
    return len(forgotten)


async def reseal(session: AsyncSession, limit: int) -> int:
    """After a key rotation: seal up to `limit` accounts' credentials with the current key; how many were.

    Call until it returns 0, in transactions that may see the accounts (a company's, or the platform's). Raises
    CannotDecrypt when the key of one is missing from the ring.
    """
    current = literal(crypto.keyring().current.encode(), LargeBinary)
    sealed_with = func.substring(Connection.credentials, 3, func.get_byte(Connection.credentials, 1))
    rows = (
        (
            await session.execute(
                select(Connection)
                .where(Connection.credentials.is_not(None), sealed_with != current)
                .order_by(Connection.company_id, Connection.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
                .execution_options(populate_existing=True)
            )
        )
        .scalars()
        .all()
    )
    for row in rows:
        assert row.credentials is not None
        label = sealing.about(row.company_id, row.id)
        row.credentials = crypto.keyring().seal(crypto.keyring().open(row.credentials, label), label)
    await session.flush()
    return len(rows)


# --- inside ---------------------------------------------------------------------------------------------------------


async def _one(
    session: AsyncSession, connection_id: UUID, *, vendor: str | None = None, lock: bool = True
) -> Connection:
    query = select(Connection).where(Connection.id == connection_id)
    if vendor is not None:
        query = query.where(Connection.vendor == vendor)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    connection = (await session.execute(query)).scalar_one_or_none()
    if connection is None:
        raise UnknownConnection()
    return connection


def _move(connection: Connection, to: Status, reason: str) -> None:
    if to not in MOVES[Status(connection.status)]:
        raise WrongConnectionState(f"The account is {connection.status}; it cannot become {to}.")
    connection.status, connection.reason = to.value, reason


async def _close(session: AsyncSession, connection: Connection) -> None:
    if connection.closed_at is None:
        connection.closed_at = clock.now()
    connection.renewing_until = None
    await routes.release(session, connection)
