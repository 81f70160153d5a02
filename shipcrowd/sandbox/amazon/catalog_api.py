"""Catalog Items 2022-04-01. The catalogue is what the sandbox's sellers list."""

from decimal import Decimal

from shipcrowd.sandbox.amazon.call import Answer, Body, Call, invalid, not_found
from shipcrowd.sandbox.amazon.goods import Listing
from shipcrowd.sandbox.amazon.listings_api import read_offset

INCLUDABLE = frozenset(
    (
        "attributes", "classifications", "dimensions", "identifiers", "images", "productTypes",
        "relationships", "salesRanks", "summaries", "vendorDetails",
    )
)  # fmt: skip
KINDS = frozenset(("ASIN", "EAN", "GTIN", "ISBN", "JAN", "MINSAN", "SKU", "UPC"))


def search(call: Call) -> Answer:
    """By identifiers or by keywords, one marketplace at a time."""
    _one_marketplace(call)
    identifiers, keywords, kind = call.listed("identifiers"), call.listed("keywords"), call.query.get("identifiersType")
    if bool(identifiers) == bool(keywords) or len(identifiers) > 20 or len(keywords) > 20:
        raise invalid("Either identifiers or keywords, at most 20, are needed")
    if identifiers and kind not in KINDS:
        raise invalid("identifiersType is missing or unknown")
    if kind == "SKU" and call.query.get("sellerId") != call.seller.id:
        raise invalid("sellerId is needed to look for SKUs")
    found = [one for one in _catalogue(call).values() if _fits(call, one, identifiers, kind, keywords)]
    size, start = call.number("pageSize", 10, 1, 20), read_offset(call.query.get("pageToken"))
    body: Body = {
        "numberOfResults": len(found),
        "items": [_item(call, one) for one in found[start : start + size]],
    }
    if len(found) > start + size:
        body["pagination"] = {"nextToken": f"from-{start + size}"}
    return Answer(body)


def get(call: Call) -> Answer:
    _one_marketplace(call)
    found = _catalogue(call).get(call.path["asin"])
    if found is None:
        raise not_found("Requested item not found", "NOT_FOUND")
    return Answer(_item(call, found))


def _one_marketplace(call: Call) -> None:
    given = call.listed("marketplaceIds")
    call.check_marketplaces(given)
    if len(given) > 1:
        raise invalid("marketplaceIds: only one is taken")


def _catalogue(call: Call) -> dict[str, Listing]:
    return {one.asin: one for seller in call.world.sellers.values() for one in seller.listings.values()}


def _fits(call: Call, it: Listing, identifiers: list[str], kind: str | None, keywords: list[str]) -> bool:
    if keywords:
        return any(word.lower() in it.title.lower() for word in keywords)
    if kind == "SKU":
        return it.sku in identifiers and call.seller.listings.get(it.sku) is it
    return kind == "ASIN" and it.asin in identifiers


def _item(call: Call, it: Listing) -> Body:
    market = call.listed("marketplaceIds")[0]
    included = call.one_of("includedData", INCLUDABLE) or frozenset(("summaries",))
    kilograms = float(Decimal(it.grams) / 1000)
    image = {
        "variant": "MAIN",
        "link": f"https://m.media-amazon.com/images/I/{it.asin}.jpg",
        "height": 500,
        "width": 500,
    }
    side = {"unit": "centimeters", "value": 20}
    package = {"height": side, "length": side, "width": side, "weight": {"unit": "kilograms", "value": kilograms}}
    parts: Body = {
        "attributes": {"item_name": [{"value": it.title, "language_tag": "en_IN", "marketplace_id": market}]},
        "classifications": [{"marketplaceId": market, "classifications": []}],
        "dimensions": [{"marketplaceId": market, "package": package}],
        "identifiers": [{"marketplaceId": market, "identifiers": []}],
        "images": [{"marketplaceId": market, "images": [image]}],
        "productTypes": [{"marketplaceId": market, "productType": it.product_type}],
        "relationships": [{"marketplaceId": market, "relationships": []}],
        "salesRanks": [],
        "summaries": [{"marketplaceId": market, "itemName": it.title, "itemClassification": "BASE_PRODUCT"}],
        "vendorDetails": [],
    }
    return {"asin": it.asin, **{name: value for name, value in parts.items() if name in included}}
