"""What stores are to be told of stock: pushes made and read. How they are sent, and what came of it, is `sending`.

A push says, for one store, how many of each thing may be sold, in absolute numbers. Of two pushes the one made later
holds (`seq`), whenever either is sent.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import vendors
from shipcrowd.channels.models import StockItem, StockPush, StockState
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock, counters, db, pages
from shipcrowd.kernel.errors import Invalid, NotFound
from shipcrowd.kernel.ids import new_id

MOST = 25_000
"""Levels a push."""


class NoSuchPush(NotFound):
    """There is no such stock push."""


@dataclass(frozen=True)
class Level:
    """One level as given: by the channel's variant id, or by a SKU one of the store's listings has."""

    available: int
    location: str = ""
    variant: str | None = None
    sku: str | None = None


INSERT = """
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($5::text::jsonb) AS r(
        id uuid, variant text, sku text, location text, available bigint, n bigint)
), by_sku AS MATERIALIZED (
    SELECT l.sku, min(l.external_variant_id) AS variant, count(*) AS listings
    FROM listings l
    WHERE l.company_id = $1 AND l.connection_id = $2 AND l.gone_at IS NULL
      AND l.sku COLLATE "C" = ANY (SELECT g.sku COLLATE "C" FROM given g WHERE g.variant IS NULL)
    GROUP BY l.sku
), resolved AS (
    SELECT g.id, g.n, g.sku, g.location, g.available, s.listings,
           coalesce(g.variant, CASE WHEN $6 THEN g.sku WHEN s.listings = 1 THEN s.variant END) AS variant
    FROM given g LEFT JOIN by_sku s ON g.variant IS NULL AND s.sku = g.sku
), latest AS (
    SELECT DISTINCT ON (variant, location, CASE WHEN variant IS NULL THEN sku END) *
    FROM resolved ORDER BY variant, location, CASE WHEN variant IS NULL THEN sku END, n DESC
)
INSERT INTO stock_items (
    company_id, id, push_id, connection_id, seq, external_variant_id, external_product_id, sku, location, available,
    state, code, reason, ended_at)
SELECT $1, r.id, $3, $2, $4, r.variant, l.external_product_id, coalesce(l.sku, r.sku), r.location, r.available,
       CASE WHEN r.variant IS NULL THEN 'refused' ELSE 'queued' END,
       CASE WHEN r.variant IS NOT NULL THEN NULL WHEN r.listings > 1 THEN 'ambiguous_sku' ELSE 'unknown_sku' END,
       CASE WHEN r.variant IS NOT NULL THEN NULL
            WHEN r.listings > 1 THEN 'Several listings of the store have this SKU; give the id of one.'
            ELSE 'No listing of the store has this SKU; read the listings, or give the listing''s id.' END,
       CASE WHEN r.variant IS NULL THEN $7::timestamptz END
FROM latest r
LEFT JOIN listings l ON l.company_id = $1 AND l.connection_id = $2 AND l.external_variant_id = r.variant
"""


async def make(session: AsyncSession, connection: Connection, levels: Sequence[Level], *, actor: str) -> StockPush:
    """Record a push: one statement for its items, whatever their number. Of several levels for one thing and place
    the last counts. A SKU that leads to no listing, or to several, is refused at once; the rest is queued.

    The caller enqueues `stocking.send_stock`. Raises Invalid.
    """
    if not 1 <= len(levels) <= MOST:
        raise Invalid(f"a push has 1 to {MOST} levels", field="levels")
    if any(not (level.variant or level.sku) for level in levels):
        raise Invalid("each level names a variant or a SKU", field="levels")
    now = clock.now()
    # The counter's row stays locked until this transaction ends: pushes of a store get their numbers in the order
    # in which they can be seen.
    (seq,) = await counters.take(session, f"stock:{connection.id}")
    push = StockPush(
        company_id=connection.company_id,
        id=new_id(),
        connection_id=connection.id,
        seq=seq,
        total=0,
        queued=0,
        asked_by=actor,
        created_at=now,
    )
    session.add(push)
    await session.flush()
    rows = [
        {
            "id": new_id(),
            "variant": level.variant,
            "sku": level.sku,
            "location": level.location,
            "available": level.available,
            "n": n,
        }
        for n, level in enumerate(levels)
    ]
    async with in_bulk(session) as wire:
        await wire.execute(
            INSERT,
            connection.company_id,
            connection.id,
            push.id,
            seq,
            to_json(rows).decode(),
            vendors.vendor(connection.vendor).stock_by_sku,
            now,
        )
    await recount(session, [push.id])
    await session.refresh(push)
    return push


@asynccontextmanager
async def in_bulk(session: AsyncSession) -> AsyncGenerator[Any]:
    """The driver for statements that put thousands of rows beside thousands. Of rows written a moment ago, and of a
    list in a parameter, PostgreSQL thinks that there are few, and would compare each with each, for minutes."""
    wire = await db.driver(session)
    await wire.execute("SET LOCAL enable_nestloop = off")
    yield wire
    await wire.execute("SET LOCAL enable_nestloop = on")


RECOUNT = """
UPDATE stock_pushes p SET
    total = c.total, queued = c.queued, waiting = c.waiting, accepted = c.accepted, refused = c.refused,
    superseded = c.superseded, unknown = c.unknown,
    state = CASE WHEN c.queued = c.total THEN 'queued' WHEN c.queued > 0 THEN 'sending'
                 WHEN c.waiting > 0 THEN 'waiting' ELSE 'done' END,
    finished_at = CASE WHEN c.queued + c.waiting = 0 THEN $3::timestamptz END
FROM (
    SELECT push_id, count(*) AS total,
        count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'waiting') AS waiting,
        count(*) FILTER (WHERE state = 'accepted') AS accepted, count(*) FILTER (WHERE state = 'refused') AS refused,
        count(*) FILTER (WHERE state = 'superseded') AS superseded, count(*) FILTER (WHERE state = 'unknown') AS unknown
    FROM stock_items WHERE company_id = $1 AND push_id = ANY($2::uuid[]) GROUP BY push_id
) c
WHERE p.company_id = $1 AND p.id = c.push_id
RETURNING p.id, p.connection_id, p.state, p.created_at, p.accepted, p.refused, p.superseded, p.unknown
"""

LOG = """
INSERT INTO sync_entries (company_id, id, connection_id, what, started_at, finished_at, pages, inserted, updated,
    unchanged, failed, error)
SELECT $1, r.id, r.connection_id, 'stock', r.started_at, $3, 0, 0, r.accepted, r.superseded, r.failed, r.error
FROM jsonb_to_recordset($2::text::jsonb) AS r(
    id uuid, connection_id uuid, started_at timestamptz, accepted bigint, superseded bigint, failed bigint, error text)
"""


async def recount(session: AsyncSession, push_ids: Sequence[UUID]) -> None:
    """Count the items of these pushes anew; those that came to their end get a line in the store's log.

    Counted rather than added up: a number that is worked out afresh cannot drift. Locks the pushes, in order.
    """
    if not push_ids:
        return
    locked = select(StockPush).where(StockPush.id.in_(push_ids)).order_by(StockPush.id).with_for_update()
    before = (await session.execute(locked.execution_options(populate_existing=True))).scalars().all()
    if not before:
        return
    company_id, now = before[0].company_id, clock.now()
    was_done = {push.id for push in before if push.finished_at is not None}
    wire = await db.driver(session)
    counted = await wire.fetch(RECOUNT, company_id, [push.id for push in before], now)
    ended = [row for row in counted if row["state"] == "done" and row["id"] not in was_done]
    if ended:
        await wire.execute(LOG, company_id, to_json([_line(row) for row in ended]).decode(), now)
    for push in before:
        session.expire(push)


def _line(row: Mapping[str, Any]) -> dict[str, object]:
    failed = row["refused"] + row["unknown"]
    return {
        "id": new_id(),
        "connection_id": row["connection_id"],
        "started_at": row["created_at"],
        "accepted": row["accepted"],
        "superseded": row["superseded"],
        "failed": failed,
        "error": f"{failed} of the stock push {row['id']} were not set; see its items." if failed else "",
    }


# --- reading --------------------------------------------------------------------------------------------------------


async def got(session: AsyncSession, push_id: UUID, connection_id: UUID) -> StockPush:
    """Raises NoSuchPush."""
    query = select(StockPush).where(StockPush.id == push_id, StockPush.connection_id == connection_id)
    push = (await session.execute(query)).scalar_one_or_none()
    if push is None:
        raise NoSuchPush()
    return push


async def page(
    session: AsyncSession, connection_id: UUID, *, after: str | None = None, limit: int = 50
) -> tuple[Sequence[StockPush], str | None]:
    """The pushes of a store, newest first."""
    query = (
        select(StockPush)
        .where(StockPush.connection_id == connection_id)
        .order_by(StockPush.created_at.desc(), StockPush.id.desc())
        .limit(limit + 1)
    )
    if after:
        query = query.where(pages.older_than(StockPush.created_at, StockPush.id, after))
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda push: (push.created_at, push.id))


async def items(
    session: AsyncSession,
    push: StockPush,
    *,
    state: StockState | None = None,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Sequence[StockItem], str | None]:
    """The items of a push in the order given, or those of one state."""
    query = select(StockItem).where(StockItem.push_id == push.id).order_by(StockItem.id).limit(limit + 1)
    if state is not None:
        query = query.where(StockItem.state == state.value)
    if after:
        query = query.where(StockItem.id > pages.parse(after)[1])
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda item: (push.created_at, item.id))
