"""Taking orders in, a page at a time: three statements whatever the page's size, older news never overwriting newer."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import clock, db, events, tenancy
from shipcrowd.kernel.events import IDS_A_MESSAGE
from shipcrowd.kernel.ids import new_id
from shipcrowd.orders import pii, retention
from shipcrowd.orders.events import OrderCancelAsked, OrdersChanged, OrdersPlaced
from shipcrowd.orders.models import ENDED, OrderState
from shipcrowd.orders.schemas import Fulfilment, IncomingLine, IncomingOrder, SourceState
from shipcrowd.pincodes.address import Address

STATE_FOR: dict[SourceState, OrderState] = {
    SourceState.open: OrderState.ready,
    SourceState.partially_shipped: OrderState.ready,
    SourceState.payment_pending: OrderState.pending,
    SourceState.on_hold: OrderState.pending,
    SourceState.attention: OrderState.pending,
    SourceState.shipped: OrderState.shipped,
    SourceState.delivered: OrderState.delivered,
    SourceState.cancelled: OrderState.cancelled,
    SourceState.nothing_to_ship: OrderState.ignored,
}


@dataclass(frozen=True)
class Imported:
    """What became of a page. `unchanged` counts orders we knew in this or a newer form; `external_ids` are those of the
    others at the store."""

    inserted: tuple[UUID, ...]
    updated: tuple[UUID, ...]
    unchanged: int
    external_ids: frozenset[str] = frozenset()


_IN_PARCELS = """EXISTS (SELECT FROM order_lines l WHERE l.company_id = o.company_id AND l.order_id = o.id
                                   AND l.units_booked > 0)"""

# The channel's word decides while nothing of ours depends on the order.
_FOLLOWS = f"""o.state IN ('pending', 'ready', 'ignored')
                      AND NOT (excluded.source_state = 'cancelled' AND {_IN_PARCELS})"""

# An order we know the buyer of, and news that does not show them, or that comes so late that we may not know them: what
# is held stays. `_who_is_known` has put it into the news by then; here it is what came in between the two.
_STAYS = """o.address_edited OR excluded.redacted_at IS NOT NULL
                      OR (excluded.pii_withheld AND (NOT o.pii_withheld OR o.redacted_at IS NOT NULL))"""

_ENDED = ", ".join(f"'{state}'" for state in ENDED)

UPSERT = f"""
WITH incoming AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($2::text::jsonb) AS r(
        id uuid, external_id text, external_ref text, number text, placed_at timestamptz,
        source_updated_at timestamptz, source_hash text, source_state text, state text, payment text, currency text,
        subtotal bigint, discount bigint, shipping bigint, tax bigint, total bigint, to_collect bigint,
        taxes_included boolean, fulfilment text, city text, province text, pincode text, country text, pii text,
        pii_withheld boolean, phone_hash text, email_hash text, gaps jsonb, weight_grams bigint, units bigint,
        ship_by timestamptz, holds text[], tags text[], test boolean, too_late boolean)
), written AS (
    INSERT INTO orders AS o (
        company_id, id, source, connection_id, external_id, external_ref, number, placed_at, source_updated_at,
        source_hash, source_state, state, payment, currency, subtotal_paise, discount_paise, shipping_paise, tax_paise,
        total_paise, to_collect_paise, taxes_included, fulfilment, city, province, pincode, country, pii,
        pii_withheld, phone_hash, email_hash, gaps, weight_grams, units, ship_by, holds, tags, test,
        created_at, updated_at, ended_at, redacted_at)
    SELECT $1, id, $3, $4, external_id, external_ref, number, placed_at, source_updated_at,
        source_hash, source_state, state, payment, currency, subtotal, discount, shipping, tax, total, to_collect,
        taxes_included, fulfilment, city, province, pincode, country, decode(pii, 'base64'), pii_withheld,
        decode(phone_hash, 'base64'), decode(email_hash, 'base64'), gaps, weight_grams, units, ship_by,
        holds, tags, test, $5, $5, CASE WHEN state IN ({_ENDED}) THEN least($5::timestamptz, source_updated_at) END,
        CASE WHEN too_late THEN $5::timestamptz END
    FROM incoming
    ON CONFLICT (company_id, connection_id, external_id) DO UPDATE SET
        external_ref = excluded.external_ref, number = excluded.number,
        source_updated_at = excluded.source_updated_at, source_hash = excluded.source_hash,
        source_state = excluded.source_state,
        state = CASE WHEN {_FOLLOWS} THEN excluded.state ELSE o.state END,
        ended_at = CASE WHEN NOT ({_FOLLOWS}) THEN o.ended_at
                        WHEN excluded.state IN ({_ENDED})
                        THEN coalesce(o.ended_at, least($5, excluded.source_updated_at)) END,
        cancel_asked_at = CASE WHEN excluded.source_state = 'cancelled' AND (o.state IN ('booked', 'shipped')
                                    OR o.state IN ('pending', 'ready') AND {_IN_PARCELS})
                               THEN coalesce(o.cancel_asked_at, $5) ELSE o.cancel_asked_at END,
        payment = excluded.payment, currency = excluded.currency, subtotal_paise = excluded.subtotal_paise,
        discount_paise = excluded.discount_paise, shipping_paise = excluded.shipping_paise,
        tax_paise = excluded.tax_paise, total_paise = excluded.total_paise,
        to_collect_paise = excluded.to_collect_paise, taxes_included = excluded.taxes_included,
        fulfilment = excluded.fulfilment,
        city = CASE WHEN {_STAYS} THEN o.city ELSE excluded.city END,
        province = CASE WHEN {_STAYS} THEN o.province ELSE excluded.province END,
        pincode = CASE WHEN {_STAYS} THEN o.pincode ELSE excluded.pincode END,
        country = CASE WHEN {_STAYS} THEN o.country ELSE excluded.country END,
        pii = CASE WHEN o.redacted_at IS NOT NULL OR {_STAYS} THEN o.pii ELSE excluded.pii END,
        pii_withheld = CASE WHEN {_STAYS} THEN o.pii_withheld ELSE excluded.pii_withheld END,
        phone_hash = CASE WHEN o.redacted_at IS NOT NULL OR {_STAYS} THEN o.phone_hash ELSE excluded.phone_hash END,
        email_hash = CASE WHEN o.redacted_at IS NOT NULL OR {_STAYS} THEN o.email_hash ELSE excluded.email_hash END,
        gaps = CASE WHEN o.redacted_at IS NOT NULL OR {_STAYS} THEN o.gaps ELSE excluded.gaps END,
        weight_grams = coalesce(excluded.weight_grams, o.weight_grams), units = excluded.units,
        ship_by = excluded.ship_by,
        holds = (SELECT coalesce(array_agg(DISTINCT h), '{{}}')
                 FROM unnest(excluded.holds || ARRAY(SELECT x FROM unnest(o.holds) x WHERE x LIKE 'ours:%')) h),
        tags = excluded.tags, test = excluded.test, updated_at = $5
    WHERE (excluded.source_updated_at, excluded.source_hash <> o.source_hash) > (o.source_updated_at, false)
    RETURNING o.id, o.external_id, o.xmax = 0 AS inserted, o.source_state,
        o.cancel_asked_at IS NOT NULL AND o.cancel_asked_at = $5 AS cancel_asked
)
SELECT * FROM written
"""

LINES = """
WITH incoming AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($2::text::jsonb) AS r(
        id uuid, order_id uuid, position bigint, external_id text, sku text, name text, variant text, units bigint,
        units_elsewhere bigint, unit_price bigint, discount bigint, tax bigint, tax_rate_bp bigint, hsn text,
        weight_grams bigint, requires_shipping boolean, product text, variant_id text)
), gone AS (
    UPDATE order_lines l SET units = 0, units_booked_before_edit = l.units_booked
    WHERE l.company_id = (SELECT $1::uuid) AND l.order_id = ANY($3::uuid[])
      AND NOT EXISTS (SELECT FROM incoming i WHERE i.order_id = l.order_id AND i.external_id = l.external_id)
)
INSERT INTO order_lines AS l (
    company_id, id, order_id, position, external_id, sku, name, variant, units, units_elsewhere, unit_price_paise,
    discount_paise, tax_paise, tax_rate_bp, hsn, weight_grams, requires_shipping, external_product_id,
    external_variant_id)
SELECT $1, id, order_id, position, external_id, sku, name, variant, units, units_elsewhere, unit_price, discount,
    tax, tax_rate_bp, hsn, weight_grams, requires_shipping, product, variant_id
FROM incoming
ON CONFLICT (company_id, order_id, external_id) DO UPDATE SET
    position = excluded.position, sku = excluded.sku, name = excluded.name, variant = excluded.variant,
    units = excluded.units, units_elsewhere = greatest(excluded.units_elsewhere - l.units_booked, 0),
    units_booked_before_edit = l.units_booked, unit_price_paise = excluded.unit_price_paise,
    discount_paise = excluded.discount_paise, tax_paise = excluded.tax_paise, tax_rate_bp = excluded.tax_rate_bp,
    hsn = coalesce(excluded.hsn, l.hsn), weight_grams = coalesce(excluded.weight_grams, l.weight_grams),
    requires_shipping = excluded.requires_shipping
"""

TIMELINE = """
INSERT INTO order_events (company_id, id, order_id, at, kind, words, actor, details)
SELECT $1, id, order_id, $3, kind, words, 'channel', '{}'
FROM jsonb_to_recordset($2::text::jsonb) AS r(id uuid, order_id uuid, kind text, words text)
"""

# One look into the index of phones for each new order. The company stands in a subquery for the reason given at
# `kernel.schema.row_security`.
DUPLICATES = """
UPDATE orders o SET duplicate_of = d.earlier
FROM (
    SELECT n.id, e.id AS earlier
    FROM orders n CROSS JOIN LATERAL (
        SELECT e.id FROM orders e
        WHERE e.company_id = (SELECT $1::uuid) AND e.phone_hash = n.phone_hash
          AND e.placed_at BETWEEN n.placed_at - interval '24 hours' AND n.placed_at
          AND e.total_paise = n.total_paise AND e.state <> 'cancelled' AND (e.placed_at, e.id) < (n.placed_at, n.id)
        ORDER BY e.placed_at DESC, e.id DESC LIMIT 1
    ) e
    WHERE n.company_id = (SELECT $1::uuid) AND n.id = ANY($2::uuid[]) AND n.phone_hash IS NOT NULL
) d
WHERE o.company_id = (SELECT $1::uuid) AND o.id = d.id
RETURNING o.id
"""


async def import_orders(
    session: AsyncSession, *, connection_id: UUID, source: str, incoming: Sequence[IncomingOrder]
) -> Imported:
    """Take a page of orders in, in the session's transaction; publishes OrdersPlaced and OrdersChanged.

    An order that is older than what we hold, or the same, is left alone. Of one order given twice in the
    page the newest counts. A channel's cancellation of an order already booked does not undo the booking: it is
    recorded and published as OrderCancelAsked.
    """
    company_id = tenancy.company_of(session)
    # Sorted, so that two pages with the same orders lock them in one order; the newest of one order comes last.
    ranked = sorted(incoming, key=lambda order: (order.external_id, order.source_updated_at))
    newest = {order.external_id: order for order in ranked}
    if not newest:
        return Imported((), (), 0)
    wire = await db.driver(session)
    now = clock.now()
    known = await _who_is_known(wire, company_id, connection_id, newest.values())
    rows = [
        order_row(company_id, connection_id, order, known=known.get(order.external_id), source=source, now=now)
        for order in newest.values()
    ]
    written = await wire.fetch(UPSERT, company_id, _dump(rows), source, connection_id, now)
    if not written:
        return Imported((), (), len(newest))

    changed = {row["external_id"]: row["id"] for row in written}
    lines = [
        line_row(changed[order.external_id], position, line)
        for order in newest.values()
        if order.external_id in changed
        for position, line in enumerate(order.lines)
    ]
    inserted = tuple(row["id"] for row in written if row["inserted"])
    updated = tuple(row["id"] for row in written if not row["inserted"])
    await wire.execute(LINES, company_id, _dump(lines), list(updated))
    duplicates = set[UUID]()
    if inserted:
        duplicates = {row["id"] for row in await wire.fetch(DUPLICATES, company_id, list(inserted))}
    story = [
        {"id": new_id(), "order_id": row["id"], "kind": kind, "words": words}
        for row in written
        for kind, words in _story(row, source, row["id"] in duplicates)
    ]
    await wire.execute(TIMELINE, company_id, _dump(story), now)
    for kind, changed_ids in ((OrdersPlaced, inserted), (OrdersChanged, updated)):
        for start in range(0, len(changed_ids), IDS_A_MESSAGE):
            await events.publish(session, kind(company_id, changed_ids[start : start + IDS_A_MESSAGE]))
    for row in written:
        if row["cancel_asked"]:
            await events.publish(session, OrderCancelAsked(company_id, row["id"]))
    return Imported(inserted, updated, len(newest) - len(written), frozenset(changed))


def _story(row: Any, source: str, duplicate: bool) -> list[tuple[str, str]]:
    name = source.replace("_", " ").title()
    if row["inserted"]:
        told = [("placed", f"Came in from {name}")]
        if duplicate:
            told.append(("duplicate", "The same buyer placed an order of the same amount within a day"))
        return told
    if row["cancel_asked"]:
        return [("cancel_asked", f"Cancelled at {name} after it was booked here")]
    return [("changed", f"Changed at {name}: {row['source_state'].replace('_', ' ')}")]


async def _who_is_known(
    wire: Any, company_id: UUID, connection_id: UUID, incoming: Iterable[IncomingOrder]
) -> dict[str, pii.Buyer]:
    """Of the orders whose news does not show the whole buyer: whom we hold, by the channel's id."""
    unsaid = [order.external_id for order in incoming if order.pii_withheld or order.phone_withheld]
    if not unsaid:
        return {}
    held = await wire.fetch(
        "SELECT external_id, pii FROM orders WHERE company_id = (SELECT $1::uuid) AND connection_id = $2"
        " AND external_id = ANY($3::text[]) AND redacted_at IS NULL",
        company_id,
        connection_id,
        unsaid,
    )
    return {row["external_id"]: pii.opened(row["pii"], company_id, connection_id, row["external_id"]) for row in held}


def order_row(
    company_id: UUID,
    connection_id: UUID,
    order: IncomingOrder,
    *,
    known: pii.Buyer | None = None,
    source: str = "",
    now: datetime | None = None,
) -> dict[str, Any]:
    """One row for `UPSERT`. Everything that tells who the buyer is goes into the sealed `pii`: what the order says, and
    what is `known` where it says nothing."""
    # Of what was said, not of what we know: the same news again is no news.
    said = hashlib.sha256(order.model_dump_json().encode()).hexdigest()[:32]
    too_late = now is not None and retention.too_late(source, state_of(order), order.source_updated_at, now)
    if known is not None:
        order = pii.kept(known, order)
    ship_to = order.ship_to or Address()
    buyer = pii.Buyer() if too_late else pii.of_incoming(order)
    mobile, email = pii.contact(buyer.ship_to, buyer.bill_to)
    bound_to = pii.about(company_id, connection_id, order.external_id)
    return {
        "id": new_id(),
        "external_id": order.external_id,
        "external_ref": order.external_ref,
        "number": order.number,
        "placed_at": order.placed_at,
        "source_updated_at": order.source_updated_at,
        "source_hash": said,
        "source_state": order.state,
        "state": state_of(order),
        "payment": order.payment,
        "currency": order.currency,
        "subtotal": order.subtotal.paise,
        "discount": order.discount.paise,
        "shipping": order.shipping.paise,
        "tax": order.tax.paise,
        "total": order.total.paise,
        "to_collect": order.to_collect.paise,
        "taxes_included": order.taxes_included,
        "fulfilment": order.fulfilment,
        "city": ship_to.city,
        "province": ship_to.state,
        "pincode": ship_to.pincode,
        "country": ship_to.country,
        "pii": _b64(pii.seal(buyer, bound_to)),
        "pii_withheld": order.pii_withheld,
        "phone_hash": _b64(pii.phone_hash(company_id, mobile)) if mobile else None,
        "email_hash": _b64(pii.email_hash(company_id, email)) if email else None,
        "gaps": gaps(order),
        "weight_grams": weight(order),
        "units": sum(line.quantity for line in order.lines if line.requires_shipping),
        "ship_by": order.ship_by,
        "holds": list(order.hold_reasons),
        "tags": list(order.tags),
        "test": order.test,
        "too_late": too_late,
    }


def line_row(order_id: UUID, position: int, line: IncomingLine) -> dict[str, Any]:
    elsewhere = 0 if line.to_ship is None else max(line.quantity - line.to_ship, 0)
    return {
        "id": new_id(),
        "order_id": order_id,
        "position": position,
        "external_id": line.external_id,
        "sku": line.sku,
        "name": line.name,
        "variant": line.variant,
        "units": line.quantity,
        "units_elsewhere": elsewhere,
        "unit_price": line.unit_price.paise,
        "discount": line.discount.paise,
        "tax": line.tax.paise,
        "tax_rate_bp": line.tax_rate_bp,
        "hsn": line.hsn,
        "weight_grams": line.weight_grams,
        "requires_shipping": line.requires_shipping,
        "product": line.external_product_id,
        "variant_id": line.external_variant_id,
    }


def state_of(order: IncomingOrder) -> OrderState:
    if order.fulfilment is Fulfilment.marketplace_warehouse:
        return OrderState.cancelled if order.state is SourceState.cancelled else OrderState.ignored
    return STATE_FOR[order.state]


def gaps(order: IncomingOrder) -> dict[str, str]:
    """What keeps the order from being booked, in words for the seller and without the buyer's data."""
    if order.state is SourceState.nothing_to_ship:
        return {}
    found: dict[str, str] = {}
    if order.currency != "INR":
        found["currency"] = f"the order is in {order.currency}; only INR orders can be booked"
    if order.fulfilment is not Fulfilment.seller:
        return found  # the marketplace's own courier knows the buyer, and prints its own label
    if order.pii_withheld:
        found["ship_to"] = "the store did not show us the buyer's address"
    elif order.ship_to is None:
        found["ship_to"] = "the order has no shipping address"
    else:
        found |= order.ship_to.gaps()
    return found


def weight(order: IncomingOrder) -> int | None:
    """Grams of everything to ship: from the lines when each has a weight, else what the channel says, else unknown.

    Never a default: a wrong weight costs the seller money at the courier's scale.
    """
    lines = [line for line in order.lines if line.requires_shipping and line.quantity]
    known = [line.weight_grams * line.quantity for line in lines if line.weight_grams]
    if lines and len(known) == len(lines):
        return sum(known)
    return order.weight_grams or None


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _dump(rows: Sequence[dict[str, Any]]) -> str:
    return to_json(rows).decode()
