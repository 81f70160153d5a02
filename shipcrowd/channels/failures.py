"""Orders and deliveries that could not be taken in: kept with what they looked like, shown, replayed after a fix."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels.models import FailedItem
from shipcrowd.kernel import clock, crypto, pages, tenancy
from shipcrowd.kernel.errors import NotFound
from shipcrowd.kernel.ids import first_id_of, new_id
from shipcrowd.kernel.inbox import Naming
from shipcrowd.kernel.outbound import Json

log = structlog.get_logger(__name__)

KEPT = Counter("shipcrowd_failed_items_total", "Orders and deliveries that could not be taken in", ["vendor"])

RAW_CHARACTERS = 200_000


class NoSuchFailedItem(NotFound):
    """There is no such failed item."""


async def keep(
    session: AsyncSession,
    *,
    connection_id: UUID,
    vendor: str,
    external_id: str,
    reason: str,
    raw: Json = None,
    delivery_id: UUID | None = None,
) -> None:
    """Store one, or count it once more; a resolved one is open again. `reason` is shown and holds no personal data."""
    company_id = tenancy.company_of(session)
    sealed = None
    if raw is not None:
        sealed = crypto.keyring().seal_json(_plain(raw), about(company_id, connection_id, external_id))
    offered = insert(FailedItem).values(
        company_id=company_id,
        id=new_id(),
        connection_id=connection_id,
        external_id=external_id,
        delivery_id=delivery_id,
        reason=reason[:1000],
        raw=sealed,
        failed_at=clock.now(),
    )
    await session.execute(
        offered.on_conflict_do_update(
            index_elements=[FailedItem.company_id, FailedItem.connection_id, FailedItem.external_id],
            set_={
                "reason": offered.excluded.reason,
                "raw": func.coalesce(offered.excluded.raw, FailedItem.raw),
                "failed_at": offered.excluded.failed_at,
                "times": FailedItem.times + 1,
                "resolved_at": None,
            },
        )
    )
    KEPT.labels(vendor).inc()
    log.warning("item failed", vendor=vendor, connection=str(connection_id), item=external_id[:80])


async def resolve(session: AsyncSession, connection_id: UUID, external_ids: Sequence[str]) -> None:
    """These were taken in after all: one statement for a page."""
    if not external_ids:
        return
    await session.execute(
        update(FailedItem)
        .where(
            FailedItem.connection_id == connection_id,
            FailedItem.external_id.in_(external_ids),
            FailedItem.resolved_at.is_(None),
        )
        .values(resolved_at=clock.now(), raw=None)
    )


async def redact(
    session: AsyncSession,
    connection_id: UUID,
    *,
    external_ids: Sequence[str],
    naming: Naming | None,
    after: str | None,
    limit: int = 200,
) -> str | None:
    """Remove what these of a store's items looked like, and those that name somebody (None: all of the store),
    `limit` at a time; where to go on, None at the end."""
    company_id = tenancy.company_of(session)
    of_store = FailedItem.company_id == company_id, FailedItem.connection_id == connection_id
    query = select(FailedItem.external_id, FailedItem.raw).where(*of_store, FailedItem.external_id > (after or ""))
    page = (await session.execute(query.order_by(FailedItem.external_id).limit(limit))).all()

    def names(external_id: str, sealed: bytes) -> bool:
        raw = crypto.keyring().open(sealed, about(company_id, connection_id, external_id))
        return naming is None or external_id in external_ids or naming.found_in(raw)

    gone = [row.external_id for row in page if row.raw is not None and names(row.external_id, row.raw)]
    if gone:
        await session.execute(update(FailedItem).where(*of_store, FailedItem.external_id.in_(gone)).values(raw=None))
    return page[-1].external_id if len(page) == limit else None


async def get(session: AsyncSession, item_id: UUID) -> FailedItem:
    """Raises NoSuchFailedItem."""
    item = (await session.execute(select(FailedItem).where(FailedItem.id == item_id))).scalar_one_or_none()
    if item is None:
        raise NoSuchFailedItem()
    return item


async def open_ones(session: AsyncSession, connection_id: UUID, *, limit: int) -> Sequence[UUID]:
    """The ids of a store's open items, oldest first."""
    query = (
        select(FailedItem.id)
        .where(FailedItem.connection_id == connection_id, FailedItem.resolved_at.is_(None))
        .order_by(FailedItem.failed_at)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def page(
    session: AsyncSession,
    *,
    connection_ids: Sequence[UUID],
    resolved: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Sequence[FailedItem], str | None]:
    """Open ones (or resolved ones) of these stores, newest first."""
    query = (
        select(FailedItem)
        .where(
            FailedItem.connection_id.in_(connection_ids),
            FailedItem.resolved_at.is_not(None) if resolved else FailedItem.resolved_at.is_(None),
        )
        .order_by(FailedItem.failed_at.desc(), FailedItem.id.desc())
        .limit(limit + 1)
    )
    if after:
        query = query.where(pages.older_than(FailedItem.failed_at, FailedItem.id, after))
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda item: (item.failed_at, item.id))


def looks(item: FailedItem) -> Json:
    """What it looked like; None when nothing was kept."""
    if item.raw is None:
        return None
    return crypto.keyring().open_json(item.raw, about(item.company_id, item.connection_id, item.external_id))


def about(company_id: UUID, connection_id: UUID, external_id: str) -> str:
    return f"failed_item:{company_id}:{connection_id}:{external_id}"


async def forget_looks(
    session: AsyncSession, *, failed_before: datetime, sooner: Mapping[str, datetime] | None = None, limit: int = 500
) -> bool:
    """One bounded step for the acting company: of open items that failed before then, the reason stays and what they
    looked like goes (a replay reads the order at its store). `sooner`: the vendors whose items must go earlier, and
    before when they came first: failing again and again keeps nobody's data longer. Whether there may be more to do."""
    mine = FailedItem.company_id == tenancy.company_of(session)
    due: list[ColumnElement[bool]] = [FailedItem.failed_at < failed_before]
    for vendor, cut in (sooner or {}).items():
        of_vendor = text("connection_id IN (SELECT id FROM connections WHERE vendor = :vendor)").bindparams(
            vendor=vendor
        )
        due.append(and_(of_vendor, FailedItem.id < first_id_of(cut)))
    old = (
        select(FailedItem.id)
        .where(mine, FailedItem.resolved_at.is_(None), or_(*due))
        .where(FailedItem.raw.is_not(None))
        .order_by(FailedItem.failed_at, FailedItem.id)
        .limit(limit)
    )
    done: Any = await session.execute(update(FailedItem).where(mine, FailedItem.id.in_(old)).values(raw=None))
    return done.rowcount == limit


def _plain(raw: Json) -> Json:
    """`raw` with its decimals as text and its size bounded: it is kept for people, not for sums."""
    written = json.dumps(raw, default=str, ensure_ascii=False)
    if len(written) > RAW_CHARACTERS:
        return {"cut": written[:RAW_CHARACTERS]}
    plain: Any = json.loads(written)
    return plain
