"""Listings: what is on sale, its stock at each location, and its price.

Setting stock names the SKU, the product (FSN) and the location; ten SKUs a call, a tenth of a second apart. The number
is the total at the location; what Flipkart has sold and not yet handed over is its own affair.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

import structlog

from shipcrowd.channels.contract import Listing, PriceChange, StockLevel, StockRefusal
from shipcrowd.integrations.flipkart import client, mapping
from shipcrowd.integrations.flipkart.client import FlipkartClient, Operation, Outcome, sku_outcomes
from shipcrowd.integrations.flipkart.reading import first, obj, objects, plain, text
from shipcrowd.integrations.flipkart.sync import batches
from shipcrowd.kernel.outbound import Json, Malformed

log = structlog.get_logger(__name__)


async def on_sale(api: FlipkartClient) -> AsyncIterator[Sequence[Listing]]:
    """Every active listing, with price and HSN where Flipkart tells."""
    page_id: Json = None
    for _ in range(client.MOST_PAGES):
        body = {"filters": {"listing_status": "ACTIVE"}, "page_id": page_id}
        answer = obj(await api.call(client.LISTING_SEARCH, body=body))
        found = objects(answer.get("listings"))
        known = await _read(api, [plain(first(raw, "sku_id", "sku")) for raw in found])
        yield [made for raw in found if (made := _listing(raw, known))]
        following = answer.get("next_page_id")
        if answer.get("has_more") is not True or following in (None, "", page_id):
            return
        page_id = following
    raise Malformed(f"Flipkart lists more than {client.MOST_PAGES} pages of listings")


async def stock(api: FlipkartClient, skus: Sequence[str]) -> Mapping[str, Mapping[str, int] | None]:
    """SKU → location → units on sale. None for a SKU of which Flipkart does not say; that is not zero."""
    known = await _read(api, skus)
    return {sku: mapping.stock(known[sku]) if sku in known else None for sku in skus}


async def set_stock(api: FlipkartClient, levels: Sequence[StockLevel]) -> list[StockRefusal]:
    """Set totals; those that were not taken, with Flipkart's reason. Any number at once."""
    wanted: dict[str, dict[str, Json]] = {}
    whose: dict[str, str] = {}
    refused: list[StockRefusal] = []
    for level in levels:
        found = mapping.split_variant(level.external_variant_id)
        if found is None or not level.location:
            refused.append(_unmapped(level.external_variant_id))
            continue
        product, sku = found
        entry = wanted.setdefault(sku, {"product_id": product, "locations": []})
        # More sold than there is, is none there.
        entry["locations"].append({"id": level.location, "inventory": max(level.available, 0)})
        whose[sku] = level.external_variant_id
    return refused + await _update(api, client.SET_STOCK, wanted, whose)


async def set_prices(api: FlipkartClient, changes: Sequence[PriceChange]) -> list[StockRefusal]:
    """Set selling prices (and MRPs); those that were not taken. Flipkart's prices here are whole rupees."""
    wanted: dict[str, dict[str, Json]] = {}
    whose: dict[str, str] = {}
    refused: list[StockRefusal] = []
    printed = await _printed_prices(api, changes)
    for change in changes:
        found = mapping.split_variant(change.external_variant_id)
        if found is None:
            refused.append(_unmapped(change.external_variant_id))
            continue
        if not _whole_rupees(change):
            refused.append(
                StockRefusal(change.external_variant_id, "not_whole_rupees", "Flipkart takes whole rupees above zero.")
            )
            continue
        product, sku = found
        mrp = change.mrp.paise // 100 if change.mrp is not None else printed.get(sku)
        if mrp is None:
            words = "Flipkart does not say the listing's MRP; give it with the price."
            refused.append(StockRefusal(change.external_variant_id, "mrp_needed", words))
            continue
        price: dict[str, Json] = {"mrp": mrp, "selling_price": change.selling.paise // 100, "currency": "INR"}
        wanted[sku], whose[sku] = {"product_id": product, "price": price}, change.external_variant_id
    return refused + await _update(api, client.SET_PRICE, wanted, whose)


def _whole_rupees(change: PriceChange) -> bool:
    amounts = (change.selling, change.mrp or change.selling)
    return all(amount.paise > 0 and amount.paise % 100 == 0 for amount in amounts)


async def _printed_prices(api: FlipkartClient, changes: Sequence[PriceChange]) -> Mapping[str, Json]:
    """The MRPs Flipkart has, in rupees, of the SKUs whose change leaves the MRP: both go together there."""
    silent = [change for change in changes if change.mrp is None and _whole_rupees(change)]
    found = [mapping.split_variant(change.external_variant_id) for change in silent]
    known = await _read(api, [each[1] for each in found if each is not None])
    return {sku: mrp for sku, raw in known.items() if (mrp := obj(raw.get("price")).get("mrp")) is not None}


async def _update(
    api: FlipkartClient, operation: Operation, wanted: Mapping[str, Json], whose: Mapping[str, str]
) -> list[StockRefusal]:
    refused: list[StockRefusal] = []
    for some in batches(list(wanted), client.SKUS_AT_ONCE):
        answer = await api.call(operation, body={sku: wanted[sku] for sku in some})
        refused += [_refusal(outcome, whose) for outcome in sku_outcomes(answer, some) if not outcome.done]
    return refused


def _refusal(outcome: Outcome, whose: Mapping[str, str]) -> StockRefusal:
    return StockRefusal(whose[outcome.id], outcome.code or "refused", outcome.message or "Flipkart gave no reason.")


def _unmapped(external_variant_id: str) -> StockRefusal:
    return StockRefusal(
        external_variant_id, "not_mapped", "Flipkart needs the product id (FSN), the SKU and the location of a listing."
    )


async def _read(api: FlipkartClient, skus: Sequence[str]) -> dict[str, dict[str, Json]]:
    # A comma parts one SKU from the next in the address, so one that holds a comma cannot be asked for.
    askable = [sku for sku in dict.fromkeys(skus) if sku and "," not in sku]
    found: dict[str, dict[str, Json]] = {}
    for some in batches(askable, client.SKUS_AT_ONCE):
        available = obj(obj(await api.call(client.LISTINGS, ids=some)).get("available"))
        found |= {plain(sku): obj(raw) for sku, raw in available.items()}
    return found


def _listing(raw: Mapping[str, Json], known: Mapping[str, Mapping[str, Json]]) -> Listing | None:
    sku = plain(first(raw, "sku_id", "sku"))
    try:
        return mapping.listing({**raw, **known.get(sku, {}), "sku_id": sku, "product_id": text(raw.get("product_id"))})
    except Malformed as error:
        log.warning("flipkart_listing_unreadable", reason=str(error))
        return None
