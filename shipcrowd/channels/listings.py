"""What stores have on sale, as they have it. Which of our SKUs a listing is stands elsewhere."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from shipcrowd.channels.contract import Listing
from shipcrowd.channels.models import ListingRow
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock, db, pages
from shipcrowd.kernel.ids import new_id

MOST = 200_000
"""Listings we read of one store."""

UPSERT = """
INSERT INTO listings AS l (company_id, id, connection_id, external_variant_id, external_product_id, sku, title,
    title_key, price_paise, barcode, hsn, weight_grams, stock_id, fulfilment, seen_at)
SELECT DISTINCT ON (variant) $1, id, $2, variant, product, sku, title, title_key, price, barcode, hsn, weight,
    stock_id, fulfilment, $4
FROM jsonb_to_recordset($3::text::jsonb) AS r(id uuid, variant text, product text, sku text, title text,
    title_key text, price bigint, barcode text, hsn text, weight bigint, stock_id text, fulfilment text, n bigint)
ORDER BY variant, n DESC
ON CONFLICT (company_id, connection_id, external_variant_id) DO UPDATE SET
    external_product_id = excluded.external_product_id, sku = excluded.sku, title = excluded.title,
    title_key = excluded.title_key, price_paise = excluded.price_paise, barcode = excluded.barcode,
    hsn = excluded.hsn, weight_grams = excluded.weight_grams, stock_id = excluded.stock_id,
    fulfilment = excluded.fulfilment, seen_at = excluded.seen_at, gone_at = NULL
WHERE l.seen_at <= excluded.seen_at
RETURNING l.xmax = 0 AS inserted
"""


async def take(session: AsyncSession, connection: Connection, found: Sequence[Listing], seen_at: datetime) -> int:
    """A page of a read that began at `seen_at`; how many were new. One statement. What a later read saw stays."""
    rows = [_row(listing, n) for n, listing in enumerate(found)]
    wire = await db.driver(session)
    done = await wire.fetch(UPSERT, connection.company_id, connection.id, to_json(rows).decode(), seen_at)
    return sum(row["inserted"] for row in done)


def _row(listing: Listing, n: int) -> dict[str, Any]:
    title = clean(listing.title, 500) or ""
    return {
        "id": new_id(),
        "n": n,
        "variant": clean(listing.external_variant_id, 200),
        "product": clean(listing.external_product_id, 200),
        "sku": clean(listing.sku, 200) or None,
        "title": title,
        "title_key": title.casefold(),
        "price": listing.price.paise if listing.price is not None else None,
        "barcode": clean(listing.barcode, 100),
        "hsn": clean(listing.hsn, 20),
        "weight": listing.weight_grams,
        "stock_id": clean(listing.stock_id, 200),
        "fulfilment": listing.fulfilment,
    }


def clean(words: str | None, most: int) -> str | None:
    """Bounded, and without the one character PostgreSQL cannot store."""
    return None if words is None else words.replace("\x00", "")[:most]


async def gone(session: AsyncSession, connection: Connection, seen_at: datetime) -> None:
    """A read that began at `seen_at` reached its end: what it did not see is not on sale any more."""
    await session.execute(
        update(ListingRow)
        .where(ListingRow.connection_id == connection.id, ListingRow.seen_at < seen_at, ListingRow.gone_at.is_(None))
        .values(gone_at=clock.now())
    )


async def page(
    session: AsyncSession,
    connection_id: UUID,
    *,
    search: str | None = None,
    gone: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Sequence[ListingRow], str | None]:
    """The listings of a store in the order we first saw them; `search`: whose SKU or title begins so."""
    query = (
        select(ListingRow)
        .where(
            ListingRow.connection_id == connection_id,
            ListingRow.gone_at.is_not(None) if gone else ListingRow.gone_at.is_(None),
        )
        .order_by(ListingRow.id)
        .limit(limit + 1)
    )
    if search:
        query = query.where(
            or_(begins(ListingRow.sku, search.strip()), begins(ListingRow.title_key, search.strip().casefold()))
        )
    if after:
        query = query.where(ListingRow.id > pages.parse(after)[1])
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda row: (row.seen_at, row.id))


def begins(column: InstrumentedAttribute[Any], prefix: str) -> ColumnElement[bool]:
    """Comparisons, not LIKE: row security lets only leak-proof operators use an index."""
    collated = column.collate("C")
    return (collated >= prefix) & (collated < prefix + "\U0010ffff")
