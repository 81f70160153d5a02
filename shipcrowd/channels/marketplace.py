"""What lies in a marketplace's own warehouses (FBA, FBF), as it counts it. Read only, and apart from any warehouse of
ours; what is here is never pushed by us."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels.contract import MarketplaceLevel
from shipcrowd.channels.listings import begins, clean
from shipcrowd.channels.models import MarketplaceStock
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock, db, pages
from shipcrowd.kernel.ids import new_id

MOST = 200_000
"""SKUs we read of one store."""

DETAILS = 40

UPSERT = """
INSERT INTO marketplace_stock AS m (company_id, id, connection_id, sku, location, external_variant_id,
    external_product_id, sellable, inbound, reserved, unfulfillable, details, as_of, seen_at)
SELECT DISTINCT ON (sku, location) $1, id, $2, sku, location, variant, product, sellable, inbound, reserved,
    unfulfillable, details, as_of, $4
FROM jsonb_to_recordset($3::text::jsonb) AS r(id uuid, sku text, location text, variant text, product text,
    sellable bigint, inbound bigint, reserved bigint, unfulfillable bigint, details jsonb, as_of timestamptz, n bigint)
ORDER BY sku, location, n DESC
ON CONFLICT (company_id, connection_id, sku, location) DO UPDATE SET
    external_variant_id = excluded.external_variant_id, external_product_id = excluded.external_product_id,
    sellable = excluded.sellable, inbound = excluded.inbound, reserved = excluded.reserved,
    unfulfillable = excluded.unfulfillable, details = excluded.details, as_of = excluded.as_of,
    seen_at = excluded.seen_at, gone_at = NULL
WHERE m.seen_at <= excluded.seen_at
RETURNING m.xmax = 0 AS inserted
"""


async def take(
    session: AsyncSession, connection: Connection, found: Sequence[MarketplaceLevel], seen_at: datetime
) -> int:
    """A page of a read that began at `seen_at`; how many were new. One statement. What a later read saw stays."""
    rows = [_row(level, n) for n, level in enumerate(found)]
    wire = await db.driver(session)
    done = await wire.fetch(UPSERT, connection.company_id, connection.id, to_json(rows).decode(), seen_at)
    return sum(row["inserted"] for row in done)


def _row(level: MarketplaceLevel, n: int) -> dict[str, Any]:
    details = {
        clean(name, 100): clean(value, 200) if isinstance(value, str) else value
        for name, value in list(level.details.items())[:DETAILS]
    }
    return {
        "id": new_id(),
        "n": n,
        "sku": clean(level.sku, 200),
        "location": clean(level.location, 200),
        "variant": clean(level.external_variant_id, 200),
        "product": clean(level.external_product_id, 200),
        "sellable": level.sellable,
        "inbound": level.inbound,
        "reserved": level.reserved,
        "unfulfillable": level.unfulfillable,
        "details": details,
        "as_of": level.as_of,
    }


async def gone(session: AsyncSession, connection: Connection, seen_at: datetime) -> None:
    """A read that began at `seen_at` reached its end: what it did not see is not there any more."""
    await session.execute(
        update(MarketplaceStock)
        .where(
            MarketplaceStock.connection_id == connection.id,
            MarketplaceStock.seen_at < seen_at,
            MarketplaceStock.gone_at.is_(None),
        )
        .values(gone_at=clock.now())
    )


async def page(
    session: AsyncSession,
    connection_id: UUID,
    *,
    sku: str | None = None,
    location: str | None = None,
    gone: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Sequence[MarketplaceStock], str | None]:
    """A marketplace's stock of one store in the order we first saw it; `sku`: what it begins with."""
    query = (
        select(MarketplaceStock)
        .where(
            MarketplaceStock.connection_id == connection_id,
            MarketplaceStock.gone_at.is_not(None) if gone else MarketplaceStock.gone_at.is_(None),
        )
        .order_by(MarketplaceStock.id)
        .limit(limit + 1)
    )
    if sku:
        query = query.where(begins(MarketplaceStock.sku, sku))
    if location is not None:
        query = query.where(MarketplaceStock.location == location)
    if after:
        query = query.where(MarketplaceStock.id > pages.parse(after)[1])
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda row: (row.seen_at, row.id))
