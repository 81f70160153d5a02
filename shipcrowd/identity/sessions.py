"""Sessions: a browser is signed in as a person, acting for one of that person's companies.

The cookie holds a random token and the table its SHA-256. A session ends at a fixed time after sign-in, when it is
closed, or when the person leaves the company; a change of role counts from the next request on.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity.models import Membership, Session
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import clock, db
from shipcrowd.kernel.errors import Forbidden, NotFound
from shipcrowd.settings import settings

SESSIONS_A_PERSON = 10
"""Signing in once more closes the oldest."""

PHONES = ("iphone", "android", "mobile", "ipad")
BROWSERS = ("mozilla", "opera")


class NoCompany(Forbidden):
    """This account belongs to no company."""


class NoSuchCompany(NotFound):
    """You do not work for such a company."""


@dataclass(frozen=True)
class OpenedSession:
    """A session as its owner gets it, once. `token` goes into the cookie and is kept nowhere."""

    token: str
    csrf: str
    user_id: UUID
    company_id: UUID
    role: Role
    expires_at: datetime


@dataclass(frozen=True)
class FoundSession:
    """Who a cookie stands for."""

    user_id: UUID
    company_id: UUID
    role: Role
    csrf: str


def agent_class(user_agent: str) -> str:
    """`desktop`, `mobile` or `other` of a User-Agent header: all we keep of it."""
    words = user_agent.casefold()
    if any(word in words for word in PHONES):
        return "mobile"
    return "desktop" if any(word in words for word in BROWSERS) else "other"


async def memberships(session: AsyncSession, user_id: UUID) -> Sequence[Membership]:
    """The companies a person works for, first joined first; at most 100."""
    mine = select(Membership).where(Membership.user_id == user_id)
    return (await session.scalars(mine.order_by(Membership.created_at, Membership.company_id).limit(100))).all()


async def open_session(
    session: AsyncSession, *, user_id: UUID, company_id: UUID | None = None, user_agent: str = ""
) -> OpenedSession:
    """Sign a browser in, for `company_id` or for the company the person joined first. Always a new token.

    Raises NoCompany when the person works for none, NoSuchCompany when not for the one asked for.
    """
    mine = await memberships(session, user_id)
    if not mine:
        raise NoCompany()
    chosen = next((place for place in mine if company_id in (None, place.company_id)), None)
    if chosen is None:
        raise NoSuchCompany()
    now = clock.now()
    await _make_room(session, user_id, now)
    token = secrets.token_urlsafe(32)
    row = Session(
        id=_key(token),
        user_id=user_id,
        company_id=chosen.company_id,
        csrf=secrets.token_urlsafe(24),
        created_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(days=settings().session_days),
        agent=agent_class(user_agent),
    )
    session.add(row)
    await session.flush()
    return OpenedSession(token, row.csrf, user_id, row.company_id, Role(chosen.role), row.expires_at)


async def find_session(session: AsyncSession, token: str) -> FoundSession | None:
    """Who the cookie's `token` stands for, in one statement; None when it is over, or the person may not be here.

    Notes the time last seen, at most once a minute.
    """
    row = await (await db.driver(session)).fetchrow(
        """
        WITH seen AS (
            UPDATE sessions SET last_seen_at = $2::timestamptz
            WHERE id = $1 AND expires_at > $2 AND last_seen_at < $2::timestamptz - interval '1 minute'
        )
        SELECT s.user_id, s.company_id, s.csrf, m.role
        FROM sessions s
        JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL
        JOIN memberships m ON m.user_id = s.user_id AND m.company_id = s.company_id
        WHERE s.id = $1 AND s.expires_at > $2
        """,
        _key(token),
        clock.now(),
    )
    return FoundSession(row["user_id"], row["company_id"], Role(row["role"]), row["csrf"]) if row else None


async def switch_company(session: AsyncSession, *, token: str, company_id: UUID, user_agent: str = "") -> OpenedSession:
    """Act for another of the person's companies, in a session of its own; the old one is closed.

    A page still open on the old company holds the old token, so it cannot act on the new one by mistake.
    Raises NoSuchCompany.
    """
    found = await find_session(session, token)
    if found is None:
        raise NoSuchCompany()
    opened = await open_session(session, user_id=found.user_id, company_id=company_id, user_agent=user_agent)
    await close_session(session, token)
    return opened


async def close_session(session: AsyncSession, token: str) -> None:
    await session.execute(delete(Session).where(Session.id == _key(token)))


async def close_all(session: AsyncSession, user_id: UUID, *, company_id: UUID | None = None) -> None:
    """Sign a person out everywhere, or out of one company."""
    theirs = delete(Session).where(Session.user_id == user_id)
    await session.execute(theirs if company_id is None else theirs.where(Session.company_id == company_id))


async def _make_room(session: AsyncSession, user_id: UUID, now: datetime) -> None:
    kept = (
        select(Session.id)
        .where(Session.user_id == user_id, Session.expires_at > now)
        .order_by(Session.created_at.desc())
        .limit(SESSIONS_A_PERSON - 1)
    )
    await session.execute(delete(Session).where(Session.user_id == user_id, Session.id.not_in(kept)))


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
