"""Signing in: whose password is this. Load, check, record: no transaction is open while the password is checked.

An attempt is counted *before* its password is looked at, in one conditional statement, and the count is cleared on
success. So of any number of guesses made at the same moment only five are ever checked. Who is unknown, locked,
disabled or simply wrong gets the same answer after the same work.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from uuid import UUID

import structlog
from sqlalchemy import case, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity import passwords, people, sessions
from shipcrowd.identity.models import User
from shipcrowd.kernel import audit, clock, pace
from shipcrowd.kernel.crypto import search_hash
from shipcrowd.kernel.errors import TooMany, Unauthenticated
from shipcrowd.kernel.tenancy import acting_for, unowned

FAILURES_ALLOWED = 5
LOCKED_FOR = timedelta(minutes=30)

log = structlog.get_logger(__name__)


class SignInRefused(Unauthenticated):
    """The e-mail or the password is wrong, or there were too many attempts in the last half hour."""


class TooManyAttempts(TooMany):
    """Too many attempts; wait a little."""


@dataclass(frozen=True)
class Pace:
    """A bucket of `capacity` attempts, refilled by `per_minute`."""

    capacity: float
    per_minute: float


PER_EMAIL = Pace(10, 1)
PER_ADDRESS = Pace(60, 30)
"""An office or a mobile network shares one address."""
REGISTRATIONS = Pace(20, 2)
"""New companies from one address."""


@dataclass(frozen=True)
class _Attempt:
    user_id: UUID
    stored: str
    count: int


async def authenticate(*, email: str, password: str, address: str) -> UUID:
    """The id of the person whose e-mail and password these are. `address` is where the request came from.

    Opens transactions of its own: a refused attempt must be counted although it is refused.
    Raises SignInRefused, TooManyAttempts.
    """
    hashed = people.email_hash(email)
    await paced((f"signin:address:{_hidden(address)}", PER_ADDRESS), (f"signin:email:{hashed.hex()}", PER_EMAIL))
    async with unowned() as session:
        attempt = await _count(session, hashed)
    right, newer = await passwords.matches(password, attempt.stored if attempt else passwords.DECOY)
    if attempt is None:
        raise SignInRefused()
    if not right:
        if attempt.count == FAILURES_ALLOWED:
            await _tell_locked(attempt.user_id)
        raise SignInRefused()
    async with unowned() as session:
        await _succeeded(session, attempt, newer)
    return attempt.user_id


async def pace_registration(address: str) -> None:
    """Raises TooManyAttempts when one address registers company after company."""
    await paced((f"register:address:{_hidden(address)}", REGISTRATIONS))


async def paced(*buckets: tuple[str, Pace]) -> None:
    """Take one attempt from each bucket, or from none. Raises TooManyAttempts with the seconds to wait."""
    async with unowned() as session:
        for key, limit in buckets:
            wait = await pace.take(session, key, capacity=limit.capacity, refill_per_second=limit.per_minute / 60)
            # Raised inside the transaction: a refused attempt gives back what it took, so that hammering
            # does not push the rightful owner's turn further and further away.
            if wait > timedelta(0):
                raise TooManyAttempts(retry_after=ceil(wait.total_seconds()))


async def _count(session: AsyncSession, email_hash: bytes) -> _Attempt | None:
    """Count one attempt; None when nobody may be asked for (unknown, locked, disabled). The fifth one locks."""
    now = clock.now()
    # A lock that is over was the end of its count.
    count = case((User.locked_until.is_(None), User.failed_logins + 1), else_=1)
    row = (
        await session.execute(
            update(User)
            .where(
                User.email_hash == email_hash,
                User.disabled_at.is_(None),
                or_(User.locked_until.is_(None), User.locked_until <= now),
            )
            .values(failed_logins=count, locked_until=case((count >= FAILURES_ALLOWED, now + LOCKED_FOR), else_=None))
            .returning(User.id, User.password_hash, User.failed_logins)
            .execution_options(synchronize_session=False)
        )
    ).one_or_none()
    return _Attempt(*row) if row else None


async def _succeeded(session: AsyncSession, attempt: _Attempt, newer_hash: str | None) -> None:
    mine = update(User).where(User.id == attempt.user_id)
    await session.execute(mine.values(failed_logins=0, locked_until=None))
    if newer_hash is not None:
        # Only over the hash that was checked: the password may have been changed meanwhile.
        await session.execute(mine.where(User.password_hash == attempt.stored).values(password_hash=newer_hash))


async def _tell_locked(user_id: UUID) -> None:
    log.warning("sign-in locked", user_id=str(user_id))
    async with unowned() as session:
        companies = [place.company_id for place in await sessions.memberships(session, user_id)]
    for company_id in companies:
        async with acting_for(company_id) as session:
            await audit.record(
                session,
                actor="system",
                action="sign_in.locked",
                subject=f"user:{user_id}",
                details={"minutes": int(LOCKED_FOR.total_seconds() // 60)},
            )


def _hidden(address: str) -> str:
    # An address is personal data; the bucket needs only that equal ones are equal.
    return search_hash(address, "signin.address").hex()
