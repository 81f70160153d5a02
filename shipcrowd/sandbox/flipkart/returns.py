"""The API of returns: searching them, and what a seller who ships itself does with them."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import cast

from shipcrowd.sandbox.flipkart import claims, search, wire
from shipcrowd.sandbox.flipkart.batches import Failed
from shipcrowd.sandbox.flipkart.schemas import ReturnSource
from shipcrowd.sandbox.flipkart.state import Return, Seller, World
from shipcrowd.sandbox.flipkart.trade import CannotHappen
from shipcrowd.sandbox.flipkart.wire import Json, NotTaken

PAGE = 25
MOST_IDS = 25

BOUNDS: dict[str, Callable[[Return, datetime], bool]] = {
    "createdAfter": lambda it, at: it.created_at >= at,
    "createdBefore": lambda it, at: it.created_at <= at,
    "modifiedAfter": lambda it, at: it.updated_at >= at,
    "modifiedBefore": lambda it, at: it.updated_at <= at,
}


def first_page(seller: Seller, query: Mapping[str, str]) -> Json:
    """`GET /v2/returns`: by ids, or by `source` and dates. Raises NotTaken(400)."""
    _result(seller, query)
    return _page(seller, dict(query), 0)


def next_page(seller: Seller, token: str) -> Json:
    """`GET /v2/returns/search/{token}`."""
    try:
        held = json.loads(base64.urlsafe_b64decode(token))
        if held["sellerId"] != seller.id:
            raise _bad("the page belongs to another seller")
        query, number = cast(dict[str, str], held["query"]), int(held["pageNumber"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise _bad("the page is not valid") from error
    return _page(seller, query, number)


def _page(seller: Seller, query: dict[str, str], number: int) -> Json:
    found = _result(seller, query)
    more = len(found) > (number + 1) * PAGE
    held = {"sellerId": seller.id, "query": query, "pageNumber": number + 1}
    token = base64.urlsafe_b64encode(json.dumps(held).encode()).decode()
    return {
        "hasMore": more,
        "nextUrl": f"/returns/search/{token}" if more else None,
        "returnItems": [wire.returned(seller, one) for one in found[number * PAGE : (number + 1) * PAGE]],
    }


def _result(seller: Seller, query: Mapping[str, str]) -> list[Return]:
    everything = seller.returns.values()
    if query.get("returnIds"):
        wanted = search.ids(query["returnIds"], MOST_IDS)
        return [it for it in everything if it.id in wanted]
    if query.get("trackingIds"):
        wanted = search.ids(query["trackingIds"], MOST_IDS)
        return [it for it in everything if it.awb in wanted]
    if query.get("source") not in tuple(one.value for one in ReturnSource):
        raise _bad("source is mandatory: customer_return or courier_return")
    found = [it for it in everything if it.source.value == query["source"]]
    for name, within in BOUNDS.items():
        if name in query:
            at = wire.read_moment(query[name])
            if at is None:
                raise _bad(f"{name} is not a date")
            found = [it for it in found if within(it, at)]
    if "locationId" in query:
        found = [it for it in found if it.shipment.location.id == query["locationId"]]
    return sorted(found, key=lambda it: (it.created_at, it.id))


def _bad(description: str) -> NotTaken:
    return NotTaken(400, "INVALID_REQUEST_JSON", description)


# --- actions --------------------------------------------------------------------------------------------------


def act(world: World, seller: Seller, verb: str, body: Json) -> Json:
    """`POST /v2/returns/{verb}` on returns of shipments the seller sent itself."""
    entries = wire.objects(body.get("returns"), "returns", most=MOST_IDS)

    def outcome(entry: Json) -> Json:
        return_id = str(entry.get("returnId"))
        try:
            _act_one(world, seller, verb, seller.returns.get(return_id), entry, body.get("locationId"))
        except Failed as failure:
            return wire.item_result(world, return_id, failure.error, key="processingStatus", name="returnId")
        return wire.item_result(world, return_id, None, key="processingStatus", name="returnId")

    return {"returns": [outcome(entry) for entry in entries]}


def _act_one(world: World, seller: Seller, verb: str, it: Return | None, entry: Json, location: object) -> None:
    if it is None or it.shipment.location.id != location:
        raise Failed("INVALID_REQUEST_ITEM_ID", "Return not found at this location")
    if not it.shipment.self_ship:
        raise Failed("OPERATION_NOT_ALLOWED", "Return is handled by Flipkart")
    if entry.get("serviceFulfilmentId") != it.fulfilment_id:
        raise Failed("INVALID_REQUEST_ITEM_ID", "serviceFulfilmentId is not that of the return")
    if verb in ("pickup", "pickupAttempt", "complete") and wire.read_moment(entry.get("serviceDate")) is None:
        raise Failed("INVALID_REQUEST_DATE_FORMAT", "serviceDate is mandatory")
    came_back = it.source is ReturnSource.courier_return
    allowed = {
        "approve": it.status == "created" and not came_back,
        "reject": it.status == "created" and not came_back,
        "pickup": it.status == "approved" and it.shipment_status == "CREATED",
        "pickupAttempt": it.status == "approved" and it.shipment_status == "CREATED",
        "complete": it.status in claims.OPEN and (came_back or it.shipment_status == "PICKED_UP"),
        "cancel": it.status in claims.OPEN,
    }
    if not allowed[verb]:
        raise Failed("INVALID_ITEM_STATE", f"Return is {it.status}, its goods {it.shipment_status}")
    it.comments = str(entry.get("comments") or it.comments)
    match verb:
        case "approve":
            claims.approve(seller, it)
        case "reject":
            claims.reject(seller, it)
        case "pickup":
            claims.pick_up(world, seller, it)
        case "complete":
            claims.complete(world, seller, it)
        case "cancel":
            try:
                claims.cancel(world, seller, it)
            except CannotHappen as error:
                raise Failed("INVALID_ITEM_STATE", str(error)) from error
        case _:
            claims.expect(world, seller, it, days=1)
