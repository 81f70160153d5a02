"""Credentials that are good now: renewed by one process at a time, with no transaction open while the vendor is asked.

Whoever finds them too old claims a lease by one conditional UPDATE, asks the vendor, and records the answer by
another. The others wait for the recorded answer, or go on with what they hold while it lasts. A holder that died
leaves a lease that runs out; one that is merely slow is stopped before that, so two never renew at once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog
from prometheus_client import Counter
from pydantic import BaseModel
from sqlalchemy import or_, select, update

from shipcrowd.connections import sealing
from shipcrowd.connections.events import ConnectionLost
from shipcrowd.connections.models import Connection, Status
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.events import publish
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)

RENEWED = Counter("shipcrowd_credentials_renewed_total", "Renewals of vendor credentials", ["vendor", "outcome"])

EARLY = timedelta(minutes=5)
"""Renewal is tried this long before the end…"""
USABLE = timedelta(minutes=1)
"""…and what holds at least this long is used while another process renews."""
LEASE = timedelta(seconds=30)
RENEWAL_SECONDS = 25.0
PATIENCE = timedelta(seconds=60)
REST = timedelta(minutes=10)
"""After a renewal that was early and failed, what is held is used this long before the vendor is asked again, or as
long as it can be used."""


async def fresh(
    company_id: UUID,
    connection_id: UUID,
    *,
    model: type[M],
    expires_at: Callable[[M], datetime | None],
    renew: Callable[[M], Awaitable[M]] | None,
    stale: M | None = None,
    renew_at: Callable[[M], datetime | None] | None = None,
) -> M:
    """Credentials good for at least a minute, and others than `stale` (which the vendor just refused).

    `renew_at` says from when on they are to be renewed, where that is long before they end; what is held is then used
    on while the vendor does not answer.

    Raises Disconnected when the account is not (or no longer) connected, Unavailable when the vendor does not answer
    (and what we hold is no longer good) or another process takes too long, and whatever else `renew` raises.
    """
    give_up_at = clock.now() + PATIENCE
    pause = 0.05
    while True:
        found, held = await _look(company_id, connection_id, model)
        now = clock.now()
        ends = expires_at(held)
        due = renew_at(held) if renew_at else ends and ends - EARLY
        if held != stale and (due is None or now < due):
            return held
        if renew is None:
            if held != stale:
                return held  # nothing can be done about it; the vendor has the last word
            await _lose(found, "The store no longer accepts these credentials.")
            continue  # the account was connected again meanwhile: look once more
        lease = now + LEASE
        if await _claim(found, now, lease):
            try:
                renewed = await _renew(found, held, renew, expires_at, lease)
            except (Unavailable, Refused, Malformed) as failure:
                if held == stale or ends is None or ends - now <= USABLE:
                    raise
                log.warning("early renewal failed", vendor=found.vendor, because=type(failure).__name__)
                await _claim(found, now, min(now + REST, ends - USABLE))
                return held
            if renewed is not None:
                return renewed
            continue
        if held != stale and ends is not None and ends - now > USABLE:
            return held
        if now > give_up_at:
            raise Unavailable("the credentials are being renewed elsewhere, and it takes too long", retry_after=10)
        await asyncio.sleep(pause * (1 + random.random() * 0.3))  # noqa: S311 - jitter
        pause = min(pause * 2, 1.0)


async def _look(company_id: UUID, connection_id: UUID, model: type[M]) -> tuple[Connection, M]:
    async with tenancy.acting_for(company_id) as session:
        found = (await session.execute(select(Connection).where(Connection.id == connection_id))).scalar_one_or_none()
    if found is None or found.credentials is None:
        raise Disconnected("The account is not connected.")
    if found.status not in (Status.connected, Status.paused):
        raise Disconnected(found.reason or "The account is not connected.")
    return found, sealing.unseal(found.credentials, model, company_id, connection_id)


async def _claim(found: Connection, now: datetime, lease: datetime) -> bool:
    async with tenancy.acting_for(found.company_id) as session:
        claimed = await session.execute(
            update(Connection)
            .where(
                Connection.id == found.id,
                Connection.credentials_version == found.credentials_version,
                # Whoever held the lease before may have found that the vendor wants a new sign-in.
                Connection.status.in_([Status.connected.value, Status.paused.value]),
                or_(Connection.renewing_until.is_(None), Connection.renewing_until <= now),
            )
            .values(renewing_until=lease)
            .returning(Connection.id)
        )
        return claimed.scalar_one_or_none() is not None


async def _renew(
    found: Connection,
    held: M,
    renew: Callable[[M], Awaitable[M]],
    expires_at: Callable[[M], datetime | None],
    lease: datetime,
) -> M | None:
    try:
        async with asyncio.timeout(RENEWAL_SECONDS):
            renewed = await renew(held)
    except Disconnected as failure:
        RENEWED.labels(found.vendor, "refused").inc()
        await _lose(found, failure.reason)
        return None
    except TimeoutError as failure:
        RENEWED.labels(found.vendor, "timeout").inc()
        await _give_back(found, lease)
        raise Unavailable("renewing the credentials took too long", maybe_received=True) from failure
    except BaseException:
        RENEWED.labels(found.vendor, "failed").inc()
        await _give_back(found, lease)
        raise
    async with tenancy.acting_for(found.company_id) as session:
        recorded = await session.execute(
            update(Connection)
            .where(Connection.id == found.id, Connection.credentials_version == found.credentials_version)
            .values(
                credentials=sealing.seal(renewed, found.company_id, found.id),
                credentials_version=Connection.credentials_version + 1,
                expires_at=expires_at(renewed),
                renewing_until=None,
            )
            .returning(Connection.id)
        )
        kept = recorded.scalar_one_or_none() is not None
    RENEWED.labels(found.vendor, "renewed" if kept else "overtaken").inc()
    return renewed if kept else None


async def _give_back(found: Connection, lease: datetime) -> None:
    async with tenancy.acting_for(found.company_id) as session:
        await session.execute(
            update(Connection)
            .where(Connection.id == found.id, Connection.renewing_until == lease)
            .values(renewing_until=None)
        )


async def _lose(found: Connection, reason: str) -> None:
    """Mark the account as disconnected and raise Disconnected; returns when it was connected again meanwhile."""
    async with tenancy.acting_for(found.company_id) as session:
        marked = await session.execute(
            update(Connection)
            .where(Connection.id == found.id, Connection.credentials_version == found.credentials_version)
            .values(
                status=Status.disconnected.value,
                reason=reason[:500],
                last_error=reason[:500],
                last_error_at=clock.now(),
                renewing_until=None,
            )
            .returning(Connection.id)
        )
        if marked.scalar_one_or_none() is None:
            return
        await publish(session, ConnectionLost(found.company_id, found.id))
    log.warning("connection lost", vendor=found.vendor, connection=str(found.id))
    raise Disconnected(reason)
