"""Who is acting decides which rows exist.

`acting_for(company_id)` opens one transaction in which row security shows that company's rows and no other.
`acting_for_platform(why=…)` crosses companies under a role of its own; grep for it to see every place that does. Each
use is written down first: how often, for what, in which hour (`kernel.audit.PlatformCrossing`).
`unowned()` reaches only the few tables that belong to no company (routing tables, the queue, buckets).

All three commit at the end of the block, or roll back when it raises; the setting dies with the transaction.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import clock, db

APP_ROLE = "shipcrowd_app"
PLATFORM_ROLE = "shipcrowd_platform"

PLATFORM_COMPANY = UUID("00000000-0000-7000-8000-000000000001")
"""The platform's own company: its shared courier accounts and its book of sums not yet attributed."""

CROSSINGS = Counter("shipcrowd_platform_transactions_total", "Transactions that cross companies", ["why"])

WRITE_DOWN = """
    INSERT INTO platform_crossings AS c (why, hour, times, last_at)
    VALUES ($1, date_trunc('hour', $2::timestamptz), 1, $2)
    ON CONFLICT (why, hour) DO UPDATE SET times = c.times + 1, last_at = greatest(c.last_at, excluded.last_at)
"""

SET_COMPANY = text("SELECT set_config('shipcrowd.company_id', :company, true)")


def company_of(session: AsyncSession) -> UUID:
    """The company this session acts for. Raises LookupError when it acts for none."""
    company = session.info.get("company_id")
    if not isinstance(company, UUID):
        raise LookupError("this transaction acts for no company")  # noqa: TRY004 - absent, not mistyped
    return company


@asynccontextmanager
async def acting_for(company_id: UUID) -> AsyncGenerator[AsyncSession, None]:
    """One transaction that sees and writes the rows of `company_id` only."""
    async with _transaction() as session:
        session.info["company_id"] = company_id
        await session.execute(SET_COMPANY, {"company": str(company_id)})
        yield session


@asynccontextmanager
async def acting_for_platform(*, why: str) -> AsyncGenerator[AsyncSession, None]:
    """One transaction that sees every company's rows. `why` is a constant: it labels a metric and an audit row."""
    CROSSINGS.labels(why).inc()
    # By itself and beforehand: a crossing that fails is audited as well, and the row all crossings of one kind share is
    # never locked for as long as one of them takes.
    async with db.raw() as wire:
        await wire.execute(WRITE_DOWN, why, clock.now())
    async with _transaction() as session:
        await session.execute(text(f"SET LOCAL ROLE {PLATFORM_ROLE}"))
        yield session


@asynccontextmanager
async def unowned() -> AsyncGenerator[AsyncSession, None]:
    """One transaction that sees no company's rows, only the tables listed as unowned."""
    async with _transaction() as session:
        await session.execute(SET_COMPANY, {"company": ""})
        yield session


@asynccontextmanager
async def _transaction() -> AsyncGenerator[AsyncSession, None]:
    async with AsyncSession(db.engine(), expire_on_commit=False) as session, session.begin():
        yield session


class UnsafeDatabaseRole(RuntimeError):
    """The application's database role could see past row security."""


async def refuse_unsafe_role() -> None:
    """Raises UnsafeDatabaseRole when the app connects as superuser, with BYPASSRLS, or with the privileges of a
    table's owner or of the platform's role, by whatever chain of memberships it has them."""
    async with unowned() as session:
        row = (
            await session.execute(
                text(
                    """
                    SELECT current_user, rolsuper, rolbypassrls,
                           EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                   WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
                                     AND pg_has_role(current_user, c.relowner, 'USAGE')),
                           pg_has_role(current_user, :platform, 'USAGE')
                    FROM pg_roles WHERE rolname = current_user
                    """
                ),
                {"platform": PLATFORM_ROLE},
            )
        ).one()
    name, superuser, bypass, owner, inherits = row
    faults = [
        word
        for word, bad in (
            ("is a superuser", superuser),
            ("has BYPASSRLS", bypass),
            ("owns tables", owner),
            (f"inherits {PLATFORM_ROLE}", inherits),
        )
        if bad
    ]
    if faults:
        raise UnsafeDatabaseRole(
            f"refusing to serve: the database role {name!r} {' and '.join(faults)}. "
            f"Set SHIPCROWD_APP_DATABASE_URL to a role that is only a member of {APP_ROLE}."
        )
