"""Secrets of our own applications that vendors change while we run: sealed, and read by every process.

The secret in the settings is the first. A vendor that rotates it sends us the next one, which is kept here, in the
platform's own company; from then on the newest that has not ended speaks, and older ones are tried after it while
they still work. Which vendors do so, and how their news reads, is theirs to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import UniqueConstraint, and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from shipcrowd.kernel import clock, crypto, db, tenancy
from shipcrowd.kernel.ids import new_id

REMEMBERED = timedelta(minutes=1)
"""Vendors let the old secret work for days after a new one: a process may learn of it a minute late."""

SETTINGS_OWN = b""
"""In place of a fingerprint: what is known of the secret in the settings."""


class AppSecret(db.Owned, db.Base):
    """One secret of an application of ours, of the platform's own company."""

    __tablename__ = "app_secrets"
    __table_args__ = (UniqueConstraint("company_id", "vendor", "client_id", "fingerprint"),)

    vendor: Mapped[str]
    client_id: Mapped[str]
    fingerprint: Mapped[bytes]
    """A keyed hash, so that the same secret told twice is one; empty for the one in the settings."""
    secret: Mapped[bytes | None]
    """Sealed; None for the one in the settings, of which only the end is kept."""
    received_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Standing:
    """How an application's keys stand: when the one that speaks came to us (None: it is the settings'), and ends."""

    received_at: datetime | None
    expires_at: datetime | None


class _Known:
    secrets: ClassVar[dict[tuple[str, str], tuple[datetime, tuple[SecretStr, ...]]]] = {}


def about(company_id: UUID, secret_id: UUID) -> str:
    """What a sealed secret is bound to."""
    return f"app_secret:{company_id}:{secret_id}"


async def usable(vendor: str, client_id: str, first: SecretStr) -> Sequence[SecretStr]:
    """The application's secrets in the order they are to be tried: the newest first, the settings' own (`first`) last.
    Remembered for a minute by each process."""
    now = clock.now()
    known = _Known.secrets.get((vendor, client_id))
    if known is None or not now - REMEMBERED < known[0] <= now:
        async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
            rows = await _standing(session, vendor, client_id, now)
        found = tuple(SecretStr(_opened(row)) for row in rows if row.secret is not None)
        known = _Known.secrets[vendor, client_id] = (now, found)
    return [*known[1], first]


async def receive(
    session: AsyncSession,
    *,
    vendor: str,
    client_id: str,
    secret: SecretStr,
    expires_at: datetime | None,
    others_until: datetime | None,
) -> bool:
    """Keep a new secret, and when those before it end; False when it is known already. The session acts for the
    platform's own company."""
    row_id, sealed = new_id(), secret.get_secret_value()
    kept = await session.execute(
        insert(AppSecret)
        .values(
            company_id=tenancy.company_of(session),
            id=row_id,
            vendor=vendor,
            client_id=client_id,
            fingerprint=crypto.search_hash(sealed, f"app_secret:{vendor}"),
            secret=crypto.keyring().seal(sealed.encode(), about(tenancy.company_of(session), row_id)),
            received_at=clock.now(),
            expires_at=expires_at,
        )
        .on_conflict_do_nothing()
        .returning(AppSecret.id)
    )
    if kept.scalar_one_or_none() is None:
        return False
    if others_until is not None:
        await _end(session, vendor, client_id, SETTINGS_OWN, others_until)
        # Only those that end before this one are older: news may come late.
        older = AppSecret.expires_at > others_until
        if expires_at is not None:
            older = and_(older, AppSecret.expires_at < expires_at)
        await session.execute(
            update(AppSecret)
            .where(AppSecret.vendor == vendor, AppSecret.client_id == client_id, AppSecret.id != row_id)
            .where(or_(AppSecret.expires_at.is_(None), older))
            .values(expires_at=others_until)
        )
    _Known.secrets.pop((vendor, client_id), None)
    return True


async def ends(session: AsyncSession, *, vendor: str, client_id: str, at: datetime) -> None:
    """The vendor says when the secret in use ends. Of one it sent us we know; else it is the settings' own."""
    if not any(row.secret for row in await _standing(session, vendor, client_id, clock.now())):
        await _end(session, vendor, client_id, SETTINGS_OWN, at)


async def standing(vendor: str, client_id: str) -> Standing:
    """How the application's keys stand now."""
    async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
        rows = await _standing(session, vendor, client_id, clock.now(), ended=True)
    sent = [row for row in rows if row.secret is not None]
    if sent:
        return Standing(sent[0].received_at, sent[0].expires_at)
    return Standing(None, rows[0].expires_at if rows else None)


def forget() -> None:
    """Drop what this process remembers."""
    _Known.secrets.clear()


async def _standing(
    session: AsyncSession, vendor: str, client_id: str, now: datetime, *, ended: bool = False
) -> Sequence[AppSecret]:
    query = select(AppSecret).where(AppSecret.vendor == vendor, AppSecret.client_id == client_id)
    if not ended:
        query = query.where(or_(AppSecret.expires_at.is_(None), AppSecret.expires_at > now))
    # What ends last was made last.
    query = query.order_by(AppSecret.expires_at.desc().nulls_first(), AppSecret.received_at.desc())
    return (await session.execute(query)).scalars().all()


async def _end(session: AsyncSession, vendor: str, client_id: str, fingerprint: bytes, at: datetime) -> None:
    told = insert(AppSecret).values(
        company_id=tenancy.company_of(session),
        id=new_id(),
        vendor=vendor,
        client_id=client_id,
        fingerprint=fingerprint,
        secret=None,
        received_at=clock.now(),
        expires_at=at,
    )
    key = [AppSecret.company_id, AppSecret.vendor, AppSecret.client_id, AppSecret.fingerprint]
    await session.execute(told.on_conflict_do_update(index_elements=key, set_={"expires_at": at}))


def _opened(row: AppSecret) -> str:
    assert row.secret is not None
    return crypto.keyring().open(row.secret, about(row.company_id, row.id)).decode()
