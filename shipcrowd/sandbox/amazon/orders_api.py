"""Orders: searchOrders, getOrder and cancelOrder of v2026-01-01, and what stays of v0."""

import base64
import bisect
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import cast

from shipcrowd.sandbox.amazon import order_fields, trade
from shipcrowd.sandbox.amazon.call import (
    Answer,
    Call,
    denied,
    foreign_marketplace,
    invalid,
    not_found,
    parse_time,
    record,
    records,
    stamp,
)
from shipcrowd.sandbox.amazon.orders import Order, Package

STATUSES = frozenset(
    ("PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNFULFILLABLE")
)
FULFILLERS = frozenset(("MERCHANT", "AMAZON"))
CANCEL_REASONS = frozenset(
    ("NO_INVENTORY", "BUYER_CANCELLED", "SHIPPING_ADDRESS_UNDELIVERABLE", "CUSTOMER_EXCHANGE", "PRICING_ERROR")
)
CARRIERS = frozenset(
    (
        "BlueDart", "Delhivery", "DTDC", "India Post", "FedEx", "DHL", "Aramex",
        "First Flight", "Professional", "Overnite Express", "Other",
    )
)  # fmt: skip
"""Carrier codes of India. Everybody else is `Other` with a carrierName."""

TOKEN_LIFE = timedelta(hours=24)
END_LAG = timedelta(minutes=2)
OLDEST = timedelta(days=730)
FILTERS = (
    "createdAfter", "createdBefore", "lastUpdatedAfter", "lastUpdatedBefore",
    "marketplaceIds", "fulfillmentStatuses", "fulfilledBy",
)  # fmt: skip
ORDER_ID = re.compile(r"\d{3}-\d{7}-\d{7}")


# --- reading --------------------------------------------------------------------------------------------------


def search_orders(call: Call) -> Answer:
    """Oldest change (or creation) first. A page token is bound to the filters it was made under, for a day."""
    created = _family(call, "created")
    after, before = _span(call, "created" if created else "lastUpdated")
    marketplaces = call.listed("marketplaceIds")
    if len(marketplaces) > 50:
        raise invalid("marketplaceIds: at most 50")
    call.check_marketplaces(marketplaces, needed=False)
    statuses = call.one_of("fulfillmentStatuses", STATUSES)
    fulfilled_by = call.one_of("fulfilledBy", FULFILLERS)
    included = call.one_of("includedData", order_fields.INCLUDABLE)
    most = call.number("maxResultsPerPage", 100, 1, 100)
    start: tuple[datetime, str] = (after, "")
    if token := call.query.get("paginationToken"):
        start, before = _read_token(call, token)
    horizon, page = call.now - OLDEST, list[Order]()
    every = call.seller.in_order(created=created)
    for order in every[bisect.bisect_right(every, start, key=lambda one: one.at(created=created)) :]:
        if order.at(created=created)[0] > before or len(page) > most:
            break
        if (
            order.created_at >= horizon
            and (not statuses or order.status in statuses)
            and (not fulfilled_by or order.fulfilled_by in fulfilled_by)
            and (not marketplaces or order.marketplace in marketplaces)
        ):
            page.append(order)
    more, page = len(page) > most, page[:most]
    body: dict[str, object] = {
        "orders": [order_fields.order(one, call.seller, included, call.now) for one in page],
        "createdBefore" if created else "lastUpdatedBefore": stamp(before),
    }
    if more:
        body["pagination"] = {"nextToken": _make_token(call, page[-1].at(created=created), before)}
    return Answer(body)


def _family(call: Call, name: str) -> bool:
    created = "createdAfter" in call.query or "createdBefore" in call.query
    updated = "lastUpdatedAfter" in call.query or "lastUpdatedBefore" in call.query
    if created and updated:
        raise invalid("createdAfter/createdBefore and lastUpdatedAfter/lastUpdatedBefore cannot be used together")
    if ("createdAfter" in call.query) == ("lastUpdatedAfter" in call.query):
        raise invalid("Exactly one of createdAfter and lastUpdatedAfter must be provided")
    return created


def _span(call: Call, family: str) -> tuple[datetime, datetime]:
    after, before = call.moment(f"{family}After"), call.moment(f"{family}Before")
    assert after is not None
    if before is None:
        return after, call.now - timedelta(seconds=call.world.knobs.search_lag_seconds)
    if before < after:
        raise invalid(f"{family}Before must be equal to or after {family}After")
    if before > call.now - END_LAG:
        raise invalid(f"{family}Before must be at least two minutes before the time of the request")
    return after, before


def _digest(call: Call) -> str:
    asked = json.dumps({name: call.query.get(name) for name in FILTERS} | {"seller": call.seller.id})
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _make_token(call: Call, last: tuple[datetime, str], before: datetime) -> str:
    inside = [_digest(call), last[0].isoformat(), last[1], before.isoformat(), (call.now + TOKEN_LIFE).isoformat()]
    return base64.urlsafe_b64encode(json.dumps(inside).encode()).decode()


def _read_token(call: Call, token: str) -> tuple[tuple[datetime, str], datetime]:
    try:
        inside = json.loads(base64.urlsafe_b64decode(token))
        digest, at, order_id, before, until = (str(one) for one in cast(list[object], inside))
        moments = [datetime.fromisoformat(one) for one in (at, before, until)]
    except (ValueError, TypeError) as error:
        raise invalid("paginationToken is invalid") from error
    if digest != _digest(call):
        raise invalid("paginationToken does not belong to these filters")
    if moments[2] <= call.now:
        raise invalid("paginationToken has expired")
    return (moments[0], order_id), moments[1]


def get_order(call: Call) -> Answer:
    order = _order(call)
    included = call.one_of("includedData", order_fields.INCLUDABLE)
    return Answer({"order": order_fields.order(order, call.seller, included, call.now)})


def _order(call: Call) -> Order:
    order_id = call.path["orderId"]
    if not ORDER_ID.fullmatch(order_id):
        raise invalid(f"Invalid orderId: {order_id}")
    order = call.seller.orders.get(order_id)
    if order is None:
        raise not_found(f"Order {order_id} does not exist", "NotFound")
    return order


# --- v0's buyer and address: gone in March 2027, and told only to a restricted token --------------------------

V0_END = datetime(2027, 3, 27, tzinfo=UTC)


def get_buyer_info(call: Call) -> Answer:
    order = _v0_order(call)
    if call.resource is None:
        return Answer({"payload": {"AmazonOrderId": order.id}})
    return Answer({"payload": order_fields.v0_buyer(order)})


def get_address(call: Call) -> Answer:
    order = _v0_order(call)
    elements = call.resource.elements if call.resource else None
    return Answer({"payload": order_fields.v0_address(order, elements)})


def _v0_order(call: Call) -> Order:
    if call.now >= V0_END:
        raise denied("", "The operation was removed.")
    order = _order(call)
    if call.resource and not order_fields.may_name(order, call.seller):
        raise denied("Application does not have access to one or more requested data elements")
    return order


# --- writing --------------------------------------------------------------------------------------------------


def confirm_shipment(call: Call) -> Answer:
    """One parcel. The same packageReferenceId again changes it."""
    order, detail = _order(call), record(call.body.get("packageDetail"))
    if not detail:
        raise invalid("packageDetail is required")
    if call.body.get("marketplaceId") != order.marketplace:
        raise foreign_marketplace() if call.body.get("marketplaceId") else invalid("marketplaceId is required")
    reference = detail.get("packageReferenceId")
    if not isinstance(reference, str) or not reference.isascii() or not reference.isdigit() or not int(reference):
        raise invalid("PackageReferenceId: is invalid, must be a positive numeric value")
    _check_confirmable(order)
    package = Package(
        reference=reference,
        carrier=_carrier(detail),
        tracking=_filled(detail, "trackingNumber"),
        method=str(detail.get("shippingMethod") or ""),
        shipped_at=parse_time(_filled(detail, "shipDate"), "shipDate"),
        made_at=call.now,
        items=_units(order, reference, records(detail.get("orderItems"))),
    )
    trade.confirm(call.world, order, package)
    return Answer(status=204)


def _check_confirmable(order: Order) -> None:
    if order.fulfilled_by == "AMAZON":
        raise invalid("The order is fulfilled by Amazon and cannot be confirmed by the seller")
    if order.easy_ship:
        raise invalid("Easy Ship orders cannot be confirmed; schedule the package instead")
    if "FBM_SHIP_PLUS" in order.programs:
        raise invalid("Ship+ orders cannot be confirmed through this operation")
    if order.status not in ("UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED"):
        raise invalid(f"An order that is {order.v0_status} cannot be confirmed")


def _carrier(detail: dict[str, object]) -> str:
    code = _filled(detail, "carrierCode")
    if code not in CARRIERS:
        raise invalid(f"carrierCode: {code} is not a carrier of this marketplace")
    return _filled(detail, "carrierName") if code == "Other" else code


def _filled(detail: dict[str, object], name: str) -> str:
    value = detail.get(name)
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{name} is required")
    return value


def _units(order: Order, reference: str, asked: list[dict[str, object]]) -> dict[str, int]:
    if not asked:
        raise invalid("orderItems is required")
    before = order.package(reference)
    if before is None and all(item.shipped >= item.quantity for item in order.items):
        text = f"Unable to find package to update with package reference id {reference}"
        raise invalid(text, code="PackageToUpdateNotFound")
    units: dict[str, int] = {}
    for line in asked:
        item = order.item(str(line.get("orderItemId")))
        quantity = line.get("quantity")
        if item is None or not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
            raise invalid("orderItems: unknown orderItemId or quantity")
        units[item.id] = units.get(item.id, 0) + quantity
        elsewhere = item.shipped - (before.items.get(item.id, 0) if before else 0)
        if units[item.id] > item.quantity - elsewhere:
            raise invalid(f"orderItems: more units of {item.id} than are left to ship")
    return units


def cancel_order(call: Call) -> Answer:
    """The whole order, by the seller. Documented, but in no published model: a knob takes it away."""
    if not call.world.knobs.cancellation:
        raise denied("")
    order = _order(call)
    if call.body.get("cancelReasonCode") not in CANCEL_REASONS:
        raise invalid("cancelReasonCode is missing or unknown")
    if order.fulfilled_by == "AMAZON":
        raise invalid("Orders fulfilled by Amazon cannot be cancelled by the seller")
    try:
        trade.cancel(call.world, order, "Order was cancelled by the seller")
    except trade.CannotTrade as error:
        raise invalid(f"The order cannot be cancelled: {error}") from error
    return Answer(status=204)
