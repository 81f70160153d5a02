"""Searching and reading shipments. The pages are offsets into a result that is worked out anew for each of them,
as Flipkart's are: while shipments change, others slip from one page to another.
"""

import base64
import binascii
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import cast

from shipcrowd.sandbox.flipkart import trade, wire
from shipcrowd.sandbox.flipkart.state import AFTER_DISPATCH, BEFORE_DISPATCH, Seller, Shipment, World, touch
from shipcrowd.sandbox.flipkart.wire import Json, NotTaken

KEPT_RESULTS = 16  # of one seller, until something changes
MOST_IDS = 100

STATES: dict[str, tuple[str, ...]] = {
    "preDispatch": BEFORE_DISPATCH,
    "postDispatch": AFTER_DISPATCH,
    "cancelled": ("CANCELLED",),
}
CANCELLATIONS = ("sellerCancellation", "buyerCancellation", "marketplaceCancellation")
DATES: dict[str, Callable[[Shipment], Sequence[datetime]]] = {
    "orderDate": lambda it: [it.ordered_at],
    "dispatchAfterDate": lambda it: [it.dispatch_after],
    "dispatchByDate": lambda it: [it.dispatch_by],
    "modifiedDate": lambda it: [it.updated_at],
    "cancellationDate": lambda it: [item.cancelled_at for item in it.items if item.cancelled_at],
}
SORTS: dict[str, Callable[[Shipment], datetime]] = {
    "orderDate": lambda it: it.ordered_at,
    "dispatchAfterDate": lambda it: it.dispatch_after,
    "dispatchByDate": lambda it: it.dispatch_by,
    "modifiedDate": lambda it: it.updated_at,
}
LISTS = {
    "shipmentTypes": ("NORMAL", "EXPRESS", "SELF"),
    "serviceProfiles": ("NON_FBF", "FBF_LITE", "FBF"),
    "dispatchServiceTiers": ("REGULAR", "EXPRESS"),
}
FIELDS = {"type", "states", "hold", "locationId", "sku", "cancellationType", "mps", *DATES, *LISTS}

Test = Callable[[Shipment], bool]


def first_page(world: World, seller: Seller, body: Json) -> Json:
    """`POST …/filter`. Raises NotTaken(400) for what cannot be searched."""
    if not isinstance(body.get("filter"), dict):
        raise _bad("filter is mandatory", "filter")
    asked = cast(Json, body["filter"])
    checks(asked)  # refuses what cannot be searched
    paging = wire.part(body.get("pagination"))
    size = paging.get("pageSize", world.knobs.page_size)
    if not isinstance(size, int) or size < 1:
        raise _bad("pageSize must be a positive number", "pagination.pageSize")
    order = wire.part(body.get("sort")) or {"field": "orderDate", "order": "asc"}
    if str(order.get("field")) not in SORTS or order.get("order", "asc") not in ("asc", "desc"):
        raise _bad("sort is not valid", "sort")
    return _page(world, seller, {"filter": asked, "sort": order, "size": min(size, world.knobs.page_size)}, 0)


def next_page(world: World, seller: Seller, token: str) -> Json:
    """`GET …/filter?next_token=…`. Raises NotTaken(400) for a token that is not this seller's."""
    try:
        held = json.loads(base64.urlsafe_b64decode(token))
        if held["sellerId"] != seller.id:
            raise _bad("next_token belongs to another seller", "next_token")
        query, number = cast(Json, held["query"]), int(held["pageNumber"])
        checks(query["filter"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise _bad("next_token is not valid", "next_token") from error
    return _page(world, seller, query, number)


def _page(world: World, seller: Seller, query: Json, number: int) -> Json:
    size = query["size"]
    found = _result(seller, query, (number + 1) * size + 1)
    page = found[number * size : (number + 1) * size]
    more = len(found) > (number + 1) * size
    answer: Json = {"hasMore": more, "shipments": [wire.shipment(world, one) for one in page]}
    held = {"filterType": query["filter"]["type"], "sellerId": seller.id, "query": query, "pageNumber": number + 1}
    token = base64.urlsafe_b64encode(json.dumps(held).encode()).decode()
    answer["nextPageUrl"] = f"/v3/shipments/filter?next_token={token}" if more else None
    if more and world.knobs.drift != "off":
        drift(world, seller, page)
    return answer


def drift(world: World, seller: Seller, page: Sequence[Shipment]) -> None:
    """Change some of what was handed out, so that the next page is cut elsewhere."""
    for shipment in page[: world.knobs.drift_per_page]:
        if world.knobs.drift == "leave" and shipment.status in BEFORE_DISPATCH and not shipment.hold:
            trade.hold(world, seller, shipment, {})
        else:
            touch(seller, shipment)


def _result(seller: Seller, query: Json, most: int) -> list[Shipment]:
    """The first `most` that fit or more, in order; kept until anything of this seller changes."""
    key = json.dumps([query["filter"], query["sort"]], sort_keys=True)
    kept = seller.pages.get(key)
    if kept is None or kept[0] != seller.revision:
        while len(seller.pages) >= KEPT_RESULTS:
            del seller.pages[next(iter(seller.pages))]
        kept = seller.pages[key] = (seller.revision, [], _fitting(seller, query))
    _, found, others = kept
    found.extend(islice(others, max(most - len(found), 0)))
    return found


def _fitting(seller: Seller, query: Json) -> Iterator[Shipment]:
    """Those that fit, in order, looked for as they are asked for."""
    asked, field = query["filter"], query["sort"]["field"]
    wanted = checks(asked)
    times, shipments = _in_order(seller, field)
    if field in asked:
        start, end = _window(field, asked[field])
        shipments = shipments[bisect_left(times, start) : bisect_right(times, end)]
    if query["sort"].get("order") == "desc":
        shipments = shipments[::-1]
    return (one for one in shipments if all(fits(one) for fits in wanted))


def _in_order(seller: Seller, field: str) -> tuple[list[datetime], list[Shipment]]:
    """All shipments of a seller by one of their times, and these times."""
    kept = seller.ordered.get(field)
    if kept is None or kept[0] != seller.revision:
        sorting = SORTS[field]
        shipments = sorted(seller.shipments.values(), key=lambda one: (sorting(one), one.id))
        kept = seller.ordered[field] = (seller.revision, [sorting(one) for one in shipments], shipments)
    return kept[1:]


def checks(asked: Json) -> list[Test]:
    """What a shipment must be to fit; raises NotTaken(400)."""
    kind = str(asked.get("type"))
    if kind not in STATES:
        raise _bad("type must be preDispatch, postDispatch or cancelled", "filter.type")
    if unknown := set(asked) - FIELDS:
        raise _bad(f"{min(unknown)} is not a filter", f"filter.{min(unknown)}")
    states = frozenset(wire.texts(asked.get("states"), "filter.states", most=len(STATES[kind])))
    if wrong := states - set(STATES[kind]):
        raise _bad(f"{min(wrong)} is not a state of {kind}", "filter.states")
    made: list[Test] = [*_cancelled(asked)] if kind == "cancelled" else [lambda it: it.status in states]
    if kind == "preDispatch":
        hold = asked.get("hold", False)
        if not isinstance(hold, bool):
            raise _bad("hold must be true or false", "filter.hold")
        made.append(lambda it: it.hold is hold)
    for name, dates in DATES.items():
        if name in asked:
            made.append(_between(name, dates, asked[name]))
    for name, allowed in LISTS.items():
        if name in asked and not set(wire.texts(asked[name], f"filter.{name}", most=len(allowed))) <= set(allowed):
            raise _bad(f"{name} is not valid", f"filter.{name}")
    profiles = frozenset(asked.get("serviceProfiles", ("NON_FBF",)))
    made.append(lambda it: it.items[0].service_profile in profiles)
    if "shipmentTypes" in asked:
        types = frozenset(asked["shipmentTypes"])
        made.append(lambda it: it.kind in types)
    if "dispatchServiceTiers" in asked:
        tiers = frozenset(asked["dispatchServiceTiers"])
        made.append(lambda it: ("EXPRESS" if it.kind == "EXPRESS" else "REGULAR") in tiers)
    if "locationId" in asked:
        made.append(lambda it: it.location.id == asked["locationId"])
    if "sku" in asked:
        skus = frozenset(wire.texts(asked["sku"], "filter.sku", most=MOST_IDS))
        made.append(lambda it: any(item.listing.sku in skus for item in it.items))
    if "mps" in asked:
        made.append(lambda it: it.mps is asked["mps"])
    return made


def _cancelled(asked: Json) -> list[Test]:
    who = asked.get("cancellationType")
    if who not in CANCELLATIONS:
        raise _bad("cancellationType is mandatory with type cancelled", "filter.cancellationType")
    return [lambda it: any(item.cancelled_by == who for item in it.items)]


def _between(name: str, dates: Callable[[Shipment], Sequence[datetime]], asked: object) -> Test:
    start, end = _window(name, asked)
    return lambda it: any(start <= at <= end for at in dates(it))


def _window(name: str, asked: object) -> tuple[datetime, datetime]:
    window = wire.part(asked)
    start, end = wire.read_moment(window.get("from")), wire.read_moment(window.get("to"))
    if start is None or end is None or start > end:
        raise _bad(f"{name} needs from and to", f"filter.{name}")
    return start, end


# --- reading --------------------------------------------------------------------------------------------------


def read(world: World, seller: Seller, query: Mapping[str, str]) -> Json:
    """`GET /v3/shipments?shipmentIds=|orderItemIds=|orderIds=`: one kind a call, at most 100."""
    kinds = [name for name in ("shipmentIds", "orderItemIds", "orderIds") if query.get(name)]
    if len(kinds) != 1:
        raise _bad("exactly one of shipmentIds, orderItemIds and orderIds is mandatory", None)
    wanted = frozenset(ids(query[kinds[0]]))
    fits: dict[str, Test] = {
        "orderItemIds": lambda it: any(item.id in wanted for item in it.items),
        "orderIds": lambda it: it.order_id in wanted,
    }
    if kinds[0] == "shipmentIds":
        found = [seller.shipments[one] for one in ids(query[kinds[0]]) if one in seller.shipments]
    else:
        found = [one for one in seller.shipments.values() if fits[kinds[0]](one)]
    return {"shipments": [wire.shipment(world, one) for one in found]}


def read_details(world: World, seller: Seller, listed: str) -> Json:
    """`GET /v3/shipments/{ids}`: addresses, buyer and courier. Ids that are not the seller's are left out."""
    found = [seller.shipments[one] for one in ids(listed) if one in seller.shipments]
    if not found:
        raise NotTaken(404, "INVALID_SHIPMENTS", "Shipment not found for seller")
    return {"shipments": [wire.details(world, seller, one) for one in found]}


def ids(listed: str, most: int = MOST_IDS) -> list[str]:
    """Ids between commas, each once; raises NotTaken(400) for none or too many."""
    found = list(dict.fromkeys(one.strip() for one in listed.split(",") if one.strip()))
    if not 1 <= len(found) <= most:
        raise _bad(f"1 to {most} ids are allowed", None)
    return found


def _bad(description: str, path: str | None) -> NotTaken:
    return NotTaken(400, "INVALID_REQUEST_JSON", description, path)
