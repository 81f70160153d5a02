"""Who did what: one row per act that matters, written in the act's own transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Index, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel import clock, db, tenancy


class AuditEntry(db.Owned, db.Base):
    """`actor` is `user:<id>`, `api_key:<id>` or `system`; `subject` is `<thing>:<id>`. No personal data in details."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "company_id", "subject", "at"),)

    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[dict[str, Any]]


class PlatformCrossing(db.Base):
    """How often one hour's transactions crossed companies, and what for: written by `tenancy.acting_for_platform`.
    The application may count here, and may not delete."""

    __tablename__ = "platform_crossings"
    __table_args__ = ({"info": {"unowned": "work that crosses companies belongs to none of them"}},)

    why: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    times: Mapped[int]
    last_at: Mapped[datetime]


async def record(
    session: AsyncSession, *, actor: str, action: str, subject: str, details: dict[str, Any] | None = None
) -> None:
    """Write one entry for the acting company."""
    session.add(
        AuditEntry(
            company_id=tenancy.company_of(session),
            at=clock.now(),
            actor=actor,
            action=action,
            subject=subject,
            details=details or {},
        )
    )


async def of(session: AsyncSession, subject: str, *, limit: int = 100) -> Sequence[AuditEntry]:
    """What was done to one thing, newest first."""
    query = select(AuditEntry).where(AuditEntry.subject == subject).order_by(AuditEntry.at.desc()).limit(limit)
    return (await session.execute(query)).scalars().all()
