"""Setting prices at a store: asked for by a person or a program that waits, told of each thing what became of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import sweeps
from shipcrowd.channels.contract import PriceChange, SetsPrices
from shipcrowd.channels.models import ListingRow
from shipcrowd.channels.open import ChannelCannot, lost, opened
from shipcrowd.connections.models import Connection
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Disconnected
from shipcrowd.kernel.tenancy import acting_for

MOST = 50
"""Prices a call."""


@dataclass(frozen=True)
class Price:
    """One price as given: by the channel's variant id, or by a SKU one of the store's listings has."""

    selling: Money
    mrp: Money | None = None
    variant: str | None = None
    sku: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one price; without a `code` it was taken."""

    price: Price
    variant: str | None
    code: str | None = None
    reason: str | None = None


async def set_prices(connection: Connection, prices: Sequence[Price]) -> Sequence[Outcome]:
    """Set prices at the store now; what became of each, in the order given. Of several for one thing the last counts.

    Calls the store. Raises Invalid, ChannelCannot, and the outside failures; then nobody knows which were taken, and
    the same call may be made again.
    """
    if not 1 <= len(prices) <= MOST:
        raise Invalid(f"1 to {MOST} prices at once", field="prices")
    channel = opened(connection)
    if not isinstance(channel, SetsPrices):
        raise ChannelCannot("This channel's prices cannot be set from outside.")
    async with acting_for(connection.company_id) as session:
        found = await _variants(session, connection.id, [price.sku for price in prices if price.variant is None])
    variants = [price.variant or found.get(price.sku or "", (None,))[0] for price in prices]
    wanted = {
        variant: PriceChange(variant, price.selling, price.mrp)
        for variant, price in zip(variants, prices, strict=True)
        if variant is not None
    }
    try:
        refusals = await channel.set_prices(list(wanted.values())) if wanted else ()
    except Disconnected as failure:
        await lost(connection, failure)
        raise
    refused = {refusal.external_variant_id: refusal for refusal in refusals}
    outcomes: list[Outcome] = []
    for price, variant in zip(prices, variants, strict=True):
        if variant is None:
            outcomes.append(_unknown(price, found))
        elif (refusal := refused.get(variant)) is not None:
            outcomes.append(Outcome(price, variant, refusal.code, refusal.message))
        else:
            outcomes.append(Outcome(price, variant))
    async with acting_for(connection.company_id) as session:
        failed = sum(outcome.code is not None for outcome in outcomes)
        error = f"{failed} of {len(outcomes)} prices were not taken." if failed else ""
        await sweeps.note(session, connection, "prices", error=error)
    return outcomes


def _unknown(price: Price, found: dict[str, tuple[str | None, int]]) -> Outcome:
    if price.sku in found:
        return Outcome(price, None, "ambiguous_sku", "Several listings of the store have this SKU; give the id of one.")
    words = "No listing of the store has this SKU; read the listings, or give the listing's id."
    return Outcome(price, None, "unknown_sku", words)


async def _variants(
    session: AsyncSession, connection_id: UUID, skus: Sequence[str | None]
) -> dict[str, tuple[str | None, int]]:
    """SKU → (the one variant that has it, else None; how many have it), of SKUs that are on sale there."""
    wanted = [sku for sku in skus if sku]
    query = select(ListingRow.sku, ListingRow.external_variant_id).where(
        ListingRow.connection_id == connection_id,
        ListingRow.gone_at.is_(None),
        ListingRow.sku.collate("C").in_(wanted),
    )
    by_sku: dict[str, list[str]] = defaultdict(list)
    for sku, variant in await session.execute(query):
        by_sku[sku or ""].append(variant)
    return {sku: (found[0] if len(found) == 1 else None, len(found)) for sku, found in by_sku.items()}
