"""API keys: `sck_live_<prefix>_<secret>`, shown once, kept as a hash. A key belongs to a company, not to a person:
it goes on working when the person who issued it leaves, until someone revokes it.
"""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity.member import Member
from shipcrowd.identity.models import ApiKey
from shipcrowd.identity.permissions import PERMISSIONS
from shipcrowd.kernel import audit, clock, db, pages
from shipcrowd.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from shipcrowd.kernel.tenancy import company_of

START = "sck_live_"
KEYS_A_COMPANY = 100
"""Live ones."""


class UnknownScope(Invalid):
    """There is no such permission."""


class ScopeNotYours(Forbidden):
    """A key may not do more than the one who issues it."""


class TooManyKeys(Conflict):
    """The company has as many live API keys as it may have."""


class NoSuchKey(NotFound):
    """There is no such API key."""


@dataclass(frozen=True)
class IssuedKey:
    """A new key. `token` is shown to the seller now and never again."""

    key: ApiKey
    token: str


async def issue_key(session: AsyncSession, *, by: Member, name: str, scopes: Collection[str]) -> IssuedKey:
    """A key to the session's company. Raises UnknownScope, ScopeNotYours, TooManyKeys."""
    wanted = frozenset(scopes)
    if not wanted:
        raise UnknownScope("Name at least one scope.", field="scopes")
    if unknown := sorted(wanted - PERMISSIONS):
        raise UnknownScope(f"Unknown: {', '.join(unknown)}.", field="scopes")
    if beyond := sorted(wanted - by.permissions):
        raise ScopeNotYours(f"You may not do: {', '.join(beyond)}.", field="scopes")
    company_id = company_of(session)
    live = select(func.count()).where(ApiKey.company_id == company_id, ApiKey.revoked_at.is_(None))
    if (await session.scalar(live) or 0) >= KEYS_A_COMPANY:
        raise TooManyKeys(f"Revoke one first; {KEYS_A_COMPANY} may be live.")
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = ApiKey(
        company_id=company_id,
        name=name,
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=sorted(wanted),
        created_by=by.actor,
    )
    session.add(key)
    await session.flush()
    await audit.record(
        session,
        actor=by.actor,
        action="api_key.issued",
        subject=f"api_key:{key.id}",
        details={"prefix": prefix, "scopes": key.scopes},
    )
    return IssuedKey(key, f"{START}{prefix}_{secret}")


async def find_key(session: AsyncSession, token: str) -> Member | None:
    """The program that `token` stands for, in one statement; None when there is no such live key.

    Notes the time of use, at most once a minute.
    """
    prefix, _, secret = token.removeprefix(START).partition("_")
    if not token.startswith(START) or not secret:
        return None
    row = await (await db.driver(session)).fetchrow(
        """
        WITH used AS (
            UPDATE api_keys SET last_used_at = $3::timestamptz
            WHERE secret_hash = $1 AND prefix = $2 AND revoked_at IS NULL
              AND (last_used_at IS NULL OR last_used_at < $3::timestamptz - interval '1 minute')
        )
        SELECT id, company_id, scopes FROM api_keys WHERE secret_hash = $1 AND prefix = $2 AND revoked_at IS NULL
        """,
        _hash(secret),
        prefix,
        clock.now(),
    )
    return Member.program(row["company_id"], row["id"], row["scopes"]) if row else None


async def list_keys(
    session: AsyncSession, *, after: str | None = None, limit: int = 50
) -> tuple[Sequence[ApiKey], str | None]:
    """A page of the company's keys, revoked ones too, newest first, and the cursor of the next page."""
    keys = select(ApiKey).where(ApiKey.company_id == company_of(session))
    if after is not None:
        keys = keys.where(pages.older_than(ApiKey.created_at, ApiKey.id, after))
    rows = (await session.scalars(keys.order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(limit + 1))).all()
    return pages.page(rows, limit, lambda key: (key.created_at, key.id))


async def revoke_key(session: AsyncSession, key_id: UUID, *, by: Member) -> None:
    """End a key of the session's company; a second time changes nothing. Raises NoSuchKey."""
    mine = (ApiKey.company_id == company_of(session), ApiKey.id == key_id)
    revoked = await session.scalar(
        update(ApiKey).where(*mine, ApiKey.revoked_at.is_(None)).values(revoked_at=clock.now()).returning(ApiKey.prefix)
    )
    if revoked is None:
        if await session.scalar(select(ApiKey.id).where(*mine)) is None:
            raise NoSuchKey()
        return
    await audit.record(
        session, actor=by.actor, action="api_key.revoked", subject=f"api_key:{key_id}", details={"prefix": revoked}
    )


def _hash(secret: str) -> bytes:
    # The secret is 256 random bits, so a plain hash is as good as a slow one, and can be looked up.
    return hashlib.sha256(secret.encode()).digest()
