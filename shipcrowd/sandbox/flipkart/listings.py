"""Listings v3: reading and searching them, and setting stock and prices, ten SKUs a call."""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping
from typing import cast

from shipcrowd.sandbox.flipkart import wire
from shipcrowd.sandbox.flipkart.state import BEFORE_DISPATCH, Listing, Seller, StockAt, World
from shipcrowd.sandbox.flipkart.wire import Json, NotTaken

PAGE = 500
MOST_READ = 100
MOST_WRITTEN = 10
LONGEST_SKU = 64
MOST_UNITS = 999_999

UNKNOWN_SKU = 1007
WRONG_PRODUCT = 1008
ARCHIVED = 1009
BAD_ATTRIBUTE = 2001


def read(world: World, seller: Seller, listed: str) -> Json:
    """`GET /listings/v3/{skus}`."""
    skus = list(dict.fromkeys(one.strip() for one in listed.split(",") if one.strip()))
    if not 1 <= len(skus) <= MOST_READ:
        raise NotTaken(400, "INVALID_REQUEST_JSON", f"1 to {MOST_READ} SKUs are allowed")
    waiting = pending(seller)
    valid = [sku for sku in skus if len(sku) <= LONGEST_SKU]
    return {
        "available": {
            sku: wire.listing(seller.listings[sku], waiting, dialect_other=wire.other(world))
            for sku in valid
            if sku in seller.listings
        },
        "unavailable": [sku for sku in valid if sku not in seller.listings],
        "invalid": [sku for sku in skus if len(sku) > LONGEST_SKU],
    }


def pending(seller: Seller) -> Mapping[tuple[str, str], int]:
    """Units ordered and not yet sent off, by SKU and location."""
    if seller.pending is None or seller.pending[0] != seller.revision:
        found = Counter[tuple[str, str]]()
        for shipment in seller.shipments.values():
            for item in shipment.live:
                if item.status in BEFORE_DISPATCH and shipment.dispatched_at is None:
                    found[item.listing.sku, shipment.location.id] += item.quantity
        seller.pending = (seller.revision, dict(found))
    return seller.pending[1]


def find(seller: Seller, body: Json) -> Json:
    """`POST /listings/v3/search`, 500 a page."""
    filters = wire.part(body.get("filters"))
    status = filters.get("listing_status")
    if status not in (None, "ACTIVE", "INACTIVE"):
        raise NotTaken(400, "INVALID_REQUEST_JSON", "listing_status must be ACTIVE or INACTIVE", "filters")
    found = [one for one in seller.listings.values() if status in (None, one.status) and not one.archived]
    start = _start(body.get("page_id"))
    more = len(found) > start + PAGE
    return {
        "next_page_id": base64.urlsafe_b64encode(str(start + PAGE).encode()).decode() if more else None,
        "has_more": more,
        "listings": [
            {"listing_id": one.listing_id, "product_id": one.fsn, "sku_id": one.sku}
            for one in found[start : start + PAGE]
        ],
    }


def _start(page_id: object) -> int:
    if page_id is None:
        return 0
    try:
        return max(int(base64.urlsafe_b64decode(str(page_id))), 0)
    except (ValueError, binascii.Error) as error:
        raise NotTaken(400, "INVALID_REQUEST_JSON", "page_id is not valid", "page_id") from error


# --- writing --------------------------------------------------------------------------------------------------

Problem = tuple[str, str, str]  # what is wrong, attribute, path
Change = Callable[[Listing, Json], tuple[list[Problem], Callable[[], None]]]


def set_inventory(seller: Seller, body: Json) -> Json:
    """`POST /listings/v3/update/inventory`. Each SKU succeeds or fails by itself, all of its locations together."""

    def change(listing: Listing, told: Json) -> tuple[list[Problem], Callable[[], None]]:
        rows = wire.parts(told.get("locations"))
        problems = [problem for number, row in enumerate(rows) for problem in _location(seller, number, row)]
        if not rows:
            problems.append(("locations are mandatory", "locations", "locations"))

        def apply() -> None:
            stock = listing.stock = listing.stock if listing.stock is not None else {}
            for row in rows:
                stock[row["id"]] = StockAt(row["inventory"], row.get("status", "ENABLED"))

        return problems, apply

    return _written(seller, body, change)


def _location(seller: Seller, number: int, row: Json) -> list[Problem]:
    at = f"locations[{number}]"
    units = row.get("inventory")
    problems: list[Problem] = []
    if row.get("id") not in seller.locations:
        problems.append(("location is not the seller's", "id", at))
    if row.get("status", "ENABLED") not in ("ENABLED", "DISABLED"):
        problems.append(("status must be ENABLED or DISABLED", "status", at))
    if not isinstance(units, int) or isinstance(units, bool) or not 0 <= units <= MOST_UNITS:
        problems.append(("inventory must be >= 0", "inventory", at))
    return problems


def set_price(seller: Seller, body: Json) -> Json:
    """`POST /listings/v3/update/price`, in whole rupees."""

    def change(listing: Listing, told: Json) -> tuple[list[Problem], Callable[[], None]]:
        price = wire.part(told.get("price"))
        mrp, selling = price.get("mrp"), price.get("selling_price")
        problems: list[Problem] = [
            (f"{name} must be a whole number above 0", name, "price")
            for name, value in (("mrp", mrp), ("selling_price", selling))
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0
        ]
        if not problems and cast(int, selling) > cast(int, mrp):
            problems.append(("selling_price must not be above mrp", "selling_price", "price"))
        if price.get("currency") != "INR":
            problems.append(("currency must be INR", "currency", "price"))

        def apply() -> None:
            listing.mrp, listing.selling_price = cast(int, mrp), cast(int, selling)

        return problems, apply

    return _written(seller, body, change)


def _written(seller: Seller, body: Json, change: Change) -> Json:
    if not 1 <= len(body) <= MOST_WRITTEN:
        raise NotTaken(400, "INVALID_REQUEST_JSON", f"1 to {MOST_WRITTEN} SKUs are allowed")
    return {sku: _one(seller, sku, told, change) for sku, told in body.items()}


def _one(seller: Seller, sku: str, told: object, change: Change) -> Json:
    listing = seller.listings.get(sku)
    if listing is None:
        return _failed(UNKNOWN_SKU, "SKU not found for seller")
    if wire.part(told).get("product_id") != listing.fsn:
        return _failed(WRONG_PRODUCT, "product_id is not that of the SKU")
    if listing.archived:
        return _failed(ARCHIVED, "the listing is archived")
    problems, apply = change(listing, wire.part(told))
    if not problems:
        apply()
    return {
        "status": "FAILURE" if problems else "SUCCESS",
        "errors": [],
        "attribute_errors": [
            {"severity": "ERROR", "code": BAD_ATTRIBUTE, "description": words, "attribute": attribute, "path": path}
            for words, attribute, path in problems
        ],
    }


def _failed(code: int, description: str) -> Json:
    error = {"severity": "ERROR", "code": code, "description": description, "path": None}
    return {"status": "FAILURE", "errors": [error], "attribute_errors": []}
