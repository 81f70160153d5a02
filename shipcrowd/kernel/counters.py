"""Numbers people read (`SHP-000123`): one counter a company and kind. Gaps are allowed, repeats are not."""

from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel import db, tenancy


class Counter(db.Base):
    __tablename__ = "counters"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    last: Mapped[int]


async def take(session: AsyncSession, kind: str, *, count: int = 1) -> range:
    """The next `count` numbers of the acting company. Locks the counter's row: call it late in a transaction."""
    last = await (await db.driver(session)).fetchval(
        """
        INSERT INTO counters (company_id, kind, last) VALUES ($1, $2, $3)
        ON CONFLICT (company_id, kind) DO UPDATE SET last = counters.last + $3 RETURNING last
        """,
        tenancy.company_of(session),
        kind,
        count,
    )
    return range(last - count + 1, last + 1)


async def number(session: AsyncSession, kind: str) -> str:
    """The next number as people read it: `SHP-000123` for kind `SHP`."""
    (value,) = await take(session, kind)
    return f"{kind}-{value:06d}"
