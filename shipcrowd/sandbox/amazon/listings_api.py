"""Listings Items 2021-08-01: patch, get, search. An accepted change shows after a while, an invalid one is a 200."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from shipcrowd.sandbox.amazon.call import Answer, Body, Call, Refused, denied, invalid, not_found, records, stamp
from shipcrowd.sandbox.amazon.goods import Change, Listing
from shipcrowd.sandbox.amazon.state import Amazon, Seller

AVAILABILITY = "/attributes/fulfillment_availability"
ATTRIBUTES = frozenset(
    ("fulfillment_availability", "purchasable_offer", "item_name", "brand", "condition_type", "list_price")
)
INCLUDABLE = frozenset(
    (
        "summaries", "attributes", "issues", "offers", "fulfillmentAvailability",
        "procurement", "relationships", "productTypes",
    )
)  # fmt: skip
IDENTIFIERS = frozenset(("ASIN", "EAN", "FNSKU", "GTIN", "ISBN", "JAN", "MINSAN", "SKU", "UPC"))
MOST_UNITS = 99_999_999


# --- patch ----------------------------------------------------------------------------------------------------


def patch(call: Call) -> Answer:
    seller, sku = _seller(call), call.path["sku"]
    call.check_marketplaces(call.listed("marketplaceIds"))
    mode = call.query.get("mode")
    if mode not in (None, "VALIDATION_PREVIEW"):
        raise _bad("mode is unknown")
    patches = records(call.body.get("patches"))
    if not patches or not call.body.get("productType"):
        raise _bad("productType and patches are required")
    issues = judge(seller, sku, call.body.get("productType"), patches)
    wrong = any(one["severity"] == "ERROR" for one in issues)
    if not wrong and mode is None:
        accept(call.world, seller, sku, patches)
    status = "INVALID" if wrong else "VALID" if mode else "ACCEPTED"
    body: Body = {"sku": sku, "status": status, "submissionId": call.world.uuid().replace("-", ""), "issues": issues}
    return Answer(body)


def judge(seller: Seller, sku: str, product_type: object, patches: Sequence[Body]) -> list[Body]:
    """What is wrong with a change; empty for one that is accepted."""
    listing = seller.listings.get(sku)
    if listing is None:
        return [_issue("13013", f"The SKU {sku} does not exist in the catalog.", "sku")]
    if product_type not in ("PRODUCT", listing.product_type):
        return [_issue("4000003", f"The product type {product_type} is not valid for this listing.", "productType")]
    issues: list[Body] = []
    if not patches:
        issues.append(_issue("90000900", "There are no patches.", "patches"))
    for one in patches:
        name = str(one.get("path", "")).removeprefix("/attributes/").split("/")[0]
        if one.get("op") not in ("add", "replace", "merge", "delete"):
            issues.append(_issue("90000900", "The operation of a patch is unknown.", name))
        elif not str(one.get("path", "")).startswith("/attributes/") or name not in ATTRIBUTES:
            issues.append(_issue("90000900", "The attributes are invalid.", name))
        elif one.get("path") == AVAILABILITY and one.get("op") != "delete":
            issues += [
                _issue("90000900", "The quantity is invalid.", "fulfillment_availability")
                for value in records(one.get("value")) or [{}]
                if not _sensible(value)
            ]
    return issues


def _sensible(value: Body) -> bool:
    quantity, lead = value.get("quantity"), value.get("lead_time_to_ship_max_days")
    whole = isinstance(quantity, int) and not isinstance(quantity, bool) and 0 <= quantity <= MOST_UNITS
    return value.get("fulfillment_channel_code") == "DEFAULT" and whole and (lead is None or isinstance(lead, int))


def accept(world: Amazon, seller: Seller, sku: str, patches: Sequence[Body]) -> None:
    """Let the change show later. A quantity of the seller's own for an FBA listing takes it out of FBA, as there."""
    listing = seller.listings[sku]
    due = world.now() + timedelta(seconds=world.knobs.listing_seconds)
    for one in patches:
        if one.get("path") != AVAILABILITY:
            continue
        if one.get("op") == "delete":
            listing.changes.append(Change(due, 0, clears_lead=True))
            continue
        for value in records(one.get("value")):
            if listing.by_amazon:
                listing.by_amazon, listing.fnsku = False, None
            lead: Any = value.get("lead_time_to_ship_max_days")
            replaces = one.get("op") in ("replace", "add")
            listing.changes.append(Change(due, value.get("quantity"), lead, clears_lead=replaces and lead is None))


def _issue(code: str, message: str, attribute: str) -> Body:
    categories = ["INVALID_ATTRIBUTE"] if code == "90000900" else []
    return {
        "code": code,
        "message": message,
        "severity": "ERROR",
        "attributeNames": [attribute],
        "categories": categories,
    }


# --- reading --------------------------------------------------------------------------------------------------


def get(call: Call) -> Answer:
    seller = _seller(call)
    call.check_marketplaces(call.listed("marketplaceIds"))
    listing = seller.listings.get(call.path["sku"])
    if listing is None:
        raise not_found("Requested item not found", "NOT_FOUND")
    return Answer(_item(call, listing))


def search(call: Call) -> Answer:
    seller = _seller(call)
    call.check_marketplaces(call.listed("marketplaceIds"))
    wanted, kind = call.listed("identifiers"), call.query.get("identifiersType")
    if bool(wanted) != bool(kind) or len(wanted) > 20 or (kind and kind not in IDENTIFIERS):
        raise _bad("identifiers (at most 20) and identifiersType go together")
    size = call.number("pageSize", 10, 1, 20)
    start = read_offset(call.query.get("pageToken"))
    key = {"SKU": "sku", "ASIN": "asin", "FNSKU": "fnsku"}.get(kind or "", "")
    after = call.moment("lastUpdatedAfter")
    for one in seller.listings.values():
        one.settle(call.now)
    fits = [
        one
        for one in seller.listings.values()
        if (not wanted or (key and getattr(one, key) in wanted)) and (after is None or one.updated_at >= after)
    ]
    body: Body = {
        "numberOfResults": len(fits),
        "items": [_item(call, one) for one in fits[start : start + size]],
    }
    if len(fits) > start + size:
        body["pagination"] = {"nextToken": f"from-{start + size}"}
    return Answer(body)


def read_offset(token: str | None) -> int:
    """Where a page begins, from the token of the page before."""
    if token is None:
        return 0
    number = token.removeprefix("from-")
    if not token.startswith("from-") or not number.isdigit():
        raise _bad("pageToken is invalid")
    return int(number)


def _seller(call: Call) -> Seller:
    if call.path["sellerId"] != call.seller.id:
        raise denied("")
    return call.seller


def _bad(details: str) -> Refused:
    return invalid("Invalid input", details, "BAD_REQUEST")


def _item(call: Call, it: Listing) -> Body:
    it.settle(call.now)
    included = call.one_of("includedData", INCLUDABLE) or frozenset(("summaries",))
    market = call.listed("marketplaceIds")[0]
    parts: Body = {
        "summaries": [
            {
                "marketplaceId": market,
                "asin": it.asin,
                "productType": it.product_type,
                "conditionType": "new_new",
                "status": ["BUYABLE", "DISCOVERABLE"] if it.quantity else ["DISCOVERABLE"],
                **({"fnSku": it.fnsku} if it.fnsku else {}),
                "itemName": it.title,
                "createdDate": stamp(it.created_at),
                "lastUpdatedDate": stamp(it.updated_at),
                "mainImage": {
                    "link": f"https://m.media-amazon.com/images/I/{it.asin}.jpg",
                    "height": 500,
                    "width": 500,
                },
            }
        ],
        "attributes": {"item_name": [{"value": it.title, "marketplace_id": market}]},
        "issues": [],
        "offers": [
            {
                "marketplaceId": market,
                "offerType": "B2C",
                "price": {"currencyCode": "INR", "amount": f"{it.price:.2f}"},
            }
        ],
        "fulfillmentAvailability": [_availability(it)],
        "procurement": [],
        "relationships": [],
        "productTypes": [{"marketplaceId": market, "productType": it.product_type}],
    }
    return {"sku": it.sku, **{name: value for name, value in parts.items() if name in included}}


def _availability(it: Listing) -> Body:
    """Of FBA stock the listing names the channel, not the quantity."""
    if it.by_amazon:
        return {"fulfillmentChannelCode": "AMAZON_IN"}
    return {"fulfillmentChannelCode": "DEFAULT", "quantity": it.quantity}
