"""Telling Shopify that parcels left: which fulfilment orders a parcel fulfils, once and only once.

Shopify splits an order into fulfilment orders, by place and by what may ship when; a fulfilment takes units out of
fulfilment orders of *one* place. Creating one cannot be made idempotent there, so before each try, and after one
whose answer was lost, we look for our own AWB. Fulfilment order ids change as parts ship: they are never kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from shipcrowd.channels.contract import Dispatch
from shipcrowd.integrations.shopify import documents, words
from shipcrowd.integrations.shopify.client import Answer, Rejected, ShopifyClient
from shipcrowd.integrations.shopify.raw import next_page, nodes, obj, objects, reading
from shipcrowd.integrations.shopify.words import tail
from shipcrowd.kernel.outbound import Json, Refused, Unavailable

log = structlog.get_logger(__name__)

_PAGES = 20  # of fulfilment orders, or of their lines: far above anything an order has

_BLOCKED: tuple[tuple[str, str, str], ...] = (
    ("ON_HOLD", "fulfilment_on_hold", "Shopify holds these items back ({why}); release the hold there first."),
    ("SCHEDULED", "fulfilment_scheduled", "Shopify has these items scheduled for later; open them there first."),
)

_SAID: tuple[tuple[str, str, str], ...] = (
    ("status= closed", "already_fulfilled", "These items are already marked as fulfilled in Shopify."),
    ("status= cancelled", "fulfilment_cancelled", "These items were cancelled in Shopify."),
    ("status= on_hold", "fulfilment_on_hold", "Shopify holds these items back; release the hold there first."),
    (
        "status= scheduled",
        "fulfilment_scheduled",
        "Shopify has these items scheduled for later; open them there first.",
    ),
)
"""What `fulfillmentCreate` says in its errors, which carry no codes (as seen, not as documented)."""

_MOVED_ON = ("invalid fulfillment order line item quantity", "does not exist")
"""Errors that mean the order changed between our reading and our writing: read again."""


@dataclass(frozen=True)
class OpenLine:
    id: str  # GID of the fulfilment order's line
    line: str  # numeric id of the order's line
    remaining: int


@dataclass(frozen=True)
class FulfilmentOrder:
    id: str
    location: str
    status: str = "OPEN"
    request_status: str = "UNSUBMITTED"
    actions: frozenset[str] = frozenset({"CREATE_FULFILLMENT"})
    method: str | None = "SHIPPING"
    holds: tuple[str, ...] = ()
    lines: tuple[OpenLine, ...] = ()

    @property
    def ours_to_ship(self) -> bool:
        return (
            "CREATE_FULFILLMENT" in self.actions
            and self.method in ("SHIPPING", None)
            and self.request_status not in words.AT_ANOTHER_SERVICE
            and self.status not in ("ON_HOLD", "SCHEDULED", "CLOSED", "CANCELLED")
        )


@dataclass(frozen=True)
class Plan:
    """One fulfilment to create: units of lines of fulfilment orders, all of one place."""

    location: str
    picks: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict[str, tuple[tuple[str, int], ...]])


def plan(orders: Sequence[FulfilmentOrder], wanted: Mapping[str, int]) -> list[Plan]:
    """Which units to take from which fulfilment orders. `wanted` is order line → units; empty means all there is.

    A parcel comes from one place, so the place that holds most of it goes first. Units that are no longer there
    (edited away, or shipped by someone else) are left out; raises Refused when nothing is left, or when something
    that only a person can undo stands in the way of a part.
    """
    usable = [order for order in orders if order.ours_to_ship]
    left = dict(wanted) or _everything(usable)
    plans: list[Plan] = []
    places = list(dict.fromkeys(order.location for order in usable))
    while places:
        place = max(places, key=lambda p: _coverage((o for o in usable if o.location == p), left))
        places.remove(place)
        picks = _take([order for order in usable if order.location == place], left)
        if picks:
            plans.append(Plan(place, picks))
    short = {line for line, units in left.items() if units > 0}
    if short:
        _raise_if_blocked([order for order in orders if not order.ours_to_ship], short)
    if not plans:
        raise _nothing_there(orders)
    if short:
        log.warning("shopify_dispatch_short", lines=sorted(short))
    return plans


async def announce(client: ShopifyClient, order_gid: str, dispatch: Dispatch) -> str:
    """Create the fulfilments of one parcel, or find them made; their GIDs, separated by blanks.

    Almost always one; several when the parcel's units stand at several places of the seller's in Shopify.
    """
    made = await _made(client, order_gid, dispatch.awb)
    wanted = _units(dispatch)
    if made:
        wanted = _without(wanted, await _units_in(client, made))
        if not wanted:
            return " ".join(made)
    try:
        plans = plan(await _fulfilment_orders(client, order_gid), wanted)
    except Refused as refusal:
        if not made:
            raise
        log.warning("shopify_dispatch_partial", code=refusal.code)
        return " ".join(made)
    for part in plans:
        made += await _create(client, order_gid, part, dispatch, made)
    return " ".join(made)


async def _create(
    client: ShopifyClient, order_gid: str, part: Plan, dispatch: Dispatch, made: Sequence[str]
) -> list[str]:
    try:
        answer = await client.execute(documents.FULFIL, {"f": _input(part, dispatch)}, repeatable=False)
    except Unavailable as failure:
        if not failure.maybe_received:
            raise
        found = await _made(client, order_gid, dispatch.awb, besides=made)
        if not found:
            raise
        return found
    except Rejected as rejected:
        # An earlier try of ours may have got there first.
        found = await _made(client, order_gid, dispatch.awb, besides=made)
        if not found:
            raise _said(rejected) from rejected
        return found
    with reading("new fulfilment", answer.data):
        return [answer.data["fulfillmentCreate"]["fulfillment"]["id"]]


def _input(part: Plan, dispatch: Dispatch) -> Json:
    tracking = {"company": words.carrier(dispatch.carrier), "number": dispatch.awb}
    if dispatch.tracking_url:
        tracking["url"] = dispatch.tracking_url
    return {
        "notifyCustomer": dispatch.notify_buyer,
        "trackingInfo": tracking,
        "lineItemsByFulfillmentOrder": [
            {
                "fulfillmentOrderId": order,
                "fulfillmentOrderLineItems": [{"id": line, "quantity": units} for line, units in picks],
            }
            for order, picks in part.picks.items()
        ],
    }


async def _made(client: ShopifyClient, order_gid: str, awb: str, besides: Sequence[str] = ()) -> list[str]:
    """Fulfilments of the order that carry `awb` and still count, read from the order itself (no search index)."""
    answer = await client.execute(documents.FULFILMENTS, {"id": order_gid}, repeatable=True)
    with reading("list of fulfilments", answer.data):
        return [
            fulfilment["id"]
            for fulfilment in objects(_order(answer).get("fulfillments"))
            if fulfilment["status"] not in words.FULFILMENT_GONE
            and fulfilment["id"] not in besides
            and any(track.get("number") == awb for track in objects(fulfilment.get("trackingInfo")))
        ]


async def _units_in(client: ShopifyClient, fulfilments: Iterable[str]) -> dict[str, int]:
    """Order line → units in these fulfilments."""
    units: dict[str, int] = {}
    for fulfilment in fulfilments:
        after: str | None = None
        for _ in range(_PAGES):
            answer = await client.execute(
                documents.FULFILMENT_LINES, {"id": fulfilment, "after": after}, repeatable=True
            )
            lines = obj(obj(answer.data.get("fulfillment")).get("fulfillmentLineItems"))
            with reading("fulfilment", lines):
                for node in nodes(lines):
                    line = tail(node["lineItem"]["id"])
                    units[line] = units.get(line, 0) + (node.get("quantity") or 0)
            after = next_page(lines)
            if after is None:
                break
    return units


async def _fulfilment_orders(client: ShopifyClient, order_gid: str) -> list[FulfilmentOrder]:
    found: list[FulfilmentOrder] = []
    after: str | None = None
    for _ in range(_PAGES):
        answer = await client.execute(
            documents.OPEN_FULFILMENT_ORDERS, {"id": order_gid, "after": after}, repeatable=True
        )
        connection = _order(answer).get("fulfillmentOrders")
        for node in nodes(connection):
            lines = nodes(node.get("lineItems")) + await _further_lines(client, node)
            with reading("fulfilment order", node):
                found.append(_fulfilment_order(node, lines))
        after = next_page(connection)
        if after is None:
            break
    return found


async def _further_lines(client: ShopifyClient, node: Json) -> list[dict[str, Json]]:
    lines: list[dict[str, Json]] = []
    after = next_page(node.get("lineItems"))
    for _ in range(_PAGES):
        if after is None:
            break
        answer = await client.execute(
            documents.FULFILMENT_ORDER_LINES, {"id": node["id"], "after": after}, repeatable=True
        )
        connection = obj(obj(answer.data.get("fulfillmentOrder")).get("lineItems"))
        lines += nodes(connection)
        after = next_page(connection)
    return lines


def _fulfilment_order(node: Json, lines: Iterable[Json]) -> FulfilmentOrder:
    assigned = obj(node.get("assignedLocation"))
    return FulfilmentOrder(
        id=node["id"],
        location=obj(assigned.get("location")).get("id") or assigned.get("name") or "",
        status=node["status"],
        request_status=node["requestStatus"],
        actions=frozenset(action["action"] for action in objects(node.get("supportedActions"))),
        method=obj(node.get("deliveryMethod")).get("methodType"),
        holds=tuple(hold.get("displayReason") or hold["reason"] for hold in objects(node.get("fulfillmentHolds"))),
        lines=tuple(OpenLine(line["id"], tail(line["lineItem"]["id"]), line["remainingQuantity"]) for line in lines),
    )


def _order(answer: Answer) -> dict[str, Json]:
    order = answer.data.get("order")
    if order is None:
        raise Refused("not_found", "Shopify has no such order, or no longer shows it to us.")
    return obj(order)


def _units(dispatch: Dispatch) -> dict[str, int]:
    units: dict[str, int] = {}
    for line in dispatch.lines:
        key = tail(line.external_line_id)
        units[key] = units.get(key, 0) + line.units
    return units


def _without(wanted: Mapping[str, int], done: Mapping[str, int]) -> dict[str, int]:
    rest = {line: units - done.get(line, 0) for line, units in wanted.items()}
    return {line: units for line, units in rest.items() if units > 0}


def _everything(orders: Iterable[FulfilmentOrder]) -> dict[str, int]:
    units: dict[str, int] = {}
    for order in orders:
        for line in order.lines:
            units[line.line] = units.get(line.line, 0) + line.remaining
    return units


def _coverage(orders: Iterable[FulfilmentOrder], left: Mapping[str, int]) -> int:
    there = _everything(orders)
    return sum(min(units, there.get(line, 0)) for line, units in left.items())


def _take(orders: Iterable[FulfilmentOrder], left: dict[str, int]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Take what is `left` out of these orders, counting it down."""
    picks: dict[str, tuple[tuple[str, int], ...]] = {}
    for order in orders:
        taken: list[tuple[str, int]] = []
        for line in order.lines:
            units = min(left.get(line.line, 0), line.remaining)
            if units > 0:
                left[line.line] -= units
                taken.append((line.id, units))
        if taken:
            picks[order.id] = tuple(taken)
    return picks


def _raise_if_blocked(orders: Iterable[FulfilmentOrder], short: set[str]) -> None:
    for order in orders:
        if not any(line.line in short and line.remaining > 0 for line in order.lines):
            continue
        for status, code, message in _BLOCKED:
            if order.status == status:
                raise Refused(code, message.format(why=", ".join(order.holds) or "no reason given"))
        if order.request_status in words.AT_ANOTHER_SERVICE:
            raise Refused("with_fulfilment_service", "A fulfilment service has these items in hand in Shopify.")
        if order.method not in ("SHIPPING", None):
            raise Refused("not_for_shipping", "The buyer chose to collect these items or to have them brought locally.")


def _nothing_there(orders: Sequence[FulfilmentOrder]) -> Refused:
    if not orders:
        # A missing scope shows as an empty list, not as an error.
        return Refused(
            "no_fulfilment_orders",
            "Shopify shows nothing to fulfil on this order; if that is wrong, the app lacks the permission for "
            "fulfilment orders: sign in again.",
        )
    return Refused("already_fulfilled", "These items are already marked as fulfilled, or were removed, in Shopify.")


def _said(rejected: Rejected) -> Exception:
    text = rejected.message.lower()
    for pattern, code, message in _SAID:
        if pattern in text:
            return Refused(code, message)
    if any(pattern in text for pattern in _MOVED_ON):
        return Unavailable("the order changed at Shopify while its parcel was announced", retry_after=2.0)
    return Refused("fulfilment_refused", rejected.message)
