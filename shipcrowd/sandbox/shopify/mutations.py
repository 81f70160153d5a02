"""How each mutation a shipping app may send is carried out. Refusals by the shop come as user errors, with 200."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from graphql import StringValueNode, VariableNode

from shipcrowd.sandbox.letters import on_this_machine
from shipcrowd.sandbox.schemas import Access
from shipcrowd.sandbox.shopify import stock, trade
from shipcrowd.sandbox.shopify.call import Args, Call, Info, Resolver, call, field_of, refuse
from shipcrowd.sandbox.shopify.goods import gid, number_of
from shipcrowd.sandbox.shopify.orders import FulfilmentLine, FulfilmentOrder
from shipcrowd.sandbox.shopify.queries import PCD_DOCS
from shipcrowd.sandbox.shopify.search import moment
from shipcrowd.sandbox.shopify.state import Subscription

Payload = dict[str, object]

MAX_FO_LINES = 512
MAX_INPUT = 250


def user_error(message: str, *field: str, **more: object) -> Payload:
    return {"field": list(field) or None, "message": message, **more}


def failed(**payload: object) -> Payload:
    return payload


# --- fulfilment -----------------------------------------------------------------------------------------------


@field_of("Mutation", "fulfillmentCreate")
def fulfillment_create(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    asked = args["fulfillment"]
    try:
        groups = [_group(asks, group) for group in asked["lineItemsByFulfillmentOrder"]]
        if not groups:
            raise trade.CannotTrade("At least one fulfillment order must be given.")
        company, numbers, urls = _tracking(asked.get("trackingInfo"))
        parcel = trade.fulfil(asks.world, groups, company=company, numbers=numbers, urls=urls)
    except trade.CannotTrade as error:
        return failed(fulfillment=None, userErrors=[user_error(str(error), "fulfillment")])
    return {"fulfillment": parcel, "userErrors": []}


def _group(asks: Call, group: Mapping[str, Any]) -> tuple[FulfilmentOrder, list[tuple[FulfilmentLine, int]]]:
    fo = asks.shop.fulfilment_order(group["fulfillmentOrderId"])
    if fo is None:
        raise trade.CannotTrade("Fulfillment order does not exist.")
    given = group.get("fulfillmentOrderLineItems")
    if not given:  # left out: everything that remains
        return fo, [(part, part.remaining) for part in fo.lines if part.remaining]
    if len(given) > MAX_FO_LINES:
        raise trade.CannotTrade("Too many fulfillment order line items.")
    parts = {part.id: part for part in fo.lines}
    chosen: list[tuple[FulfilmentLine, int]] = []
    for line in given:
        part = parts.get(number_of(line["id"], "FulfillmentOrderLineItem") or 0)
        if part is None:
            raise trade.CannotTrade("Fulfillment order line item does not exist.")
        chosen.append((part, line["quantity"]))
    return fo, chosen


def _tracking(given: Mapping[str, Any] | None) -> tuple[str | None, list[str], list[str]]:
    """Company, numbers, URLs: of one parcel, or of several paired by position."""
    if not given:
        return None, [], []
    numbers = given.get("numbers") or ([given["number"]] if given.get("number") else [])
    urls = given.get("urls") or ([given["url"]] if given.get("url") else [])
    return given.get("company"), list(numbers), list(urls)


@field_of("Mutation", "fulfillmentTrackingInfoUpdate")
def fulfillment_tracking_info_update(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    parcel = asks.shop.fulfilment(args["fulfillmentId"])
    if parcel is None:
        return failed(fulfillment=None, userErrors=[user_error("Fulfillment does not exist.", "fulfillmentId")])
    try:
        trade.retrack(asks.world, parcel, *_tracking(args["trackingInfoInput"]))
    except trade.CannotTrade as error:
        return failed(fulfillment=None, userErrors=[user_error(str(error))])
    return {"fulfillment": parcel, "userErrors": []}


@field_of("Mutation", "fulfillmentCancel")
def fulfillment_cancel(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    parcel = asks.shop.fulfilment(args["id"])
    if parcel is None:
        return failed(fulfillment=None, userErrors=[user_error("Fulfillment not found.", "id")])
    try:
        trade.cancel_fulfilment(asks.world, parcel)
    except trade.CannotTrade as error:
        return failed(fulfillment=None, userErrors=[user_error(str(error))])
    return {"fulfillment": parcel, "userErrors": []}


@field_of("Mutation", "fulfillmentEventCreate")
def fulfillment_event_create(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    given = args["fulfillmentEvent"]
    parcel = asks.shop.fulfilment(given["fulfillmentId"])
    if parcel is None:
        error = user_error("Fulfillment does not exist.", "fulfillmentEvent", "fulfillmentId")
        return failed(fulfillmentEvent=None, userErrors=[error])
    happened = _datetime(given.get("happenedAt"))
    place = (given.get("city"), given.get("province"), given.get("country"), given.get("zip"))
    made = trade.event(asks.world, given["status"], happened, given.get("message"), place)
    try:
        trade.add_event(asks.world, parcel, made)
    except trade.CannotTrade as error:
        return failed(fulfillmentEvent=None, userErrors=[user_error(str(error))])
    return {"fulfillmentEvent": made, "userErrors": []}


def _datetime(text: str | None) -> datetime | None:
    if text is None:
        return None
    if (at := moment(text)) is None:
        raise refuse(f'Could not coerce value "{text}" to DateTime', "INVALID_VARIABLE")
    return at


def _on_fulfilment_order(change: Any) -> Resolver:
    def resolver(source: object, info: Info, args: Args) -> Payload:
        asks = call(info)
        fo = asks.shop.fulfilment_order(args["id"])
        if fo is None:
            return failed(fulfillmentOrder=None, userErrors=[user_error("Fulfillment order does not exist.", "id")])
        try:
            made = change(asks, fo, args)
        except trade.CannotTrade as error:
            return failed(fulfillmentOrder=None, userErrors=[user_error(str(error))])
        return {"fulfillmentOrder": fo, "fulfillmentHold": made, "userErrors": []}

    return resolver


def _hold(asks: Call, fo: FulfilmentOrder, args: Args) -> object:
    given = args["fulfillmentHold"]
    note = given.get("reasonNotes") or ""
    made = trade.hold(asks.world, fo, reason=given["reason"], note=note, app=asks.app)
    return {"id": gid("FulfillmentHold", made.id), "reason": made.reason, "displayReason": made.reason,
            "heldByRequestingApp": True}  # fmt: skip


def _release(asks: Call, fo: FulfilmentOrder, args: Args) -> object:
    ids = args.get("holdIds")
    chosen = [one for one in fo.holds if gid("FulfillmentHold", one.id) in ids] if ids else None
    trade.release(asks.world, fo, chosen)
    return None


def _open(asks: Call, fo: FulfilmentOrder, args: Args) -> object:
    trade.open_scheduled(asks.world, fo)
    return None


field_of("Mutation", "fulfillmentOrderHold")(_on_fulfilment_order(_hold))
field_of("Mutation", "fulfillmentOrderReleaseHold")(_on_fulfilment_order(_release))
field_of("Mutation", "fulfillmentOrderOpen")(_on_fulfilment_order(_open))


# --- stock ----------------------------------------------------------------------------------------------------


def _stock(name: str, listed: str, input_type: str, *, absolute: bool) -> Resolver:
    def resolver(source: object, info: Info, args: Args) -> Payload:
        asks = call(info)
        given = args["input"]
        key = _idempotency_key(asks, info)
        entries: Sequence[Mapping[str, Any]] = given[listed]
        if len(entries) > MAX_INPUT:
            raise refuse(
                f"The input array size of {len(entries)} is greater than the maximum allowed of 250.",
                "MAX_INPUT_SIZE_EXCEEDED",
            )
        if asks.version >= "2026-04" and any("changeFromQuantity" not in entry for entry in entries):
            message = f"{input_type} must include the following argument: changeFromQuantity."
            raise refuse(message, "INVALID_FIELD_ARGUMENTS")

        def act() -> Payload:
            done = stock.change(
                asks.world, asks.shop, name=given["name"], reason=given["reason"], entries=entries, absolute=absolute
            )
            errors = [one for one in done if isinstance(one, stock.StockError)]
            if errors:
                return failed(inventoryAdjustmentGroup=None, userErrors=[_stock_error(one) for one in errors])
            changes = [one for one in done if isinstance(one, stock.StockChange)]
            group = {
                "id": gid("InventoryAdjustmentGroup", asks.world.ids()),
                "reason": given["reason"],
                "changes": [
                    {"name": one.name, "delta": one.delta, "quantityAfterChange": one.after} for one in changes
                ],
            }
            return {"inventoryAdjustmentGroup": group if changes else None, "userErrors": []}

        return _once(asks, key, name, given, act)

    return resolver


def _stock_error(one: stock.StockError) -> Payload:
    return {"code": one.code, "field": list(one.field), "message": one.message}


def _idempotency_key(asks: Call, info: Info) -> str | None:
    """The key of @idempotent; raises BAD_REQUEST where it is mandatory and missing."""
    for directive in info.field_nodes[0].directives or ():
        if directive.name.value == "idempotent":
            value = next(iter(directive.arguments or ())).value
            if isinstance(value, VariableNode):
                return str(asks.variables.get(value.name.value))
            return value.value if isinstance(value, StringValueNode) else None
    if asks.version >= "2026-04":
        raise refuse("The @idempotent directive is required for this mutation but was not provided.", "BAD_REQUEST")
    return None


def _once(asks: Call, key: str | None, name: str, given: object, act: Any) -> Payload:
    """The stored answer for a key seen before with the same input; a user error for other input."""
    if key is None:
        return act()
    fingerprint = f"{name} {json.dumps(given, sort_keys=True, default=str)}"
    memory, slot = asks.shop.idempotency, (asks.app.client_id, key)
    if slot not in memory:
        memory[slot] = (fingerprint, act())
    before, answer = memory[slot]
    if before != fingerprint:
        text = "The same idempotency key was used with different parameters."
        error = {"code": "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "field": None, "message": text}
        return failed(inventoryAdjustmentGroup=None, userErrors=[error])
    assert isinstance(answer, dict)
    return answer  # pyright: ignore[reportUnknownVariableType]


field_of("Mutation", "inventorySetQuantities")(
    _stock("inventorySetQuantities", "quantities", "InventoryQuantityInput", absolute=True)
)
field_of("Mutation", "inventoryAdjustQuantities")(
    _stock("inventoryAdjustQuantities", "changes", "InventoryChangeInput", absolute=False)
)


# --- webhooks -------------------------------------------------------------------------------------------------


@field_of("Mutation", "webhookSubscriptionCreate")
def webhook_subscription_create(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    given, topic = args["webhookSubscription"], args["topic"]
    uri = given.get("uri") or ""
    if topic.startswith("ORDERS_") and asks.shop.access is Access.denied:
        raise refuse(
            "This app is not approved to subscribe to webhook topics containing protected customer data. "
            f"See {PCD_DOCS} for more details.",
            "ACCESS_DENIED",
        )
    error = _bad_uri(uri)
    same = [
        one
        for one in asks.shop.subscriptions.values()
        if (one.app, one.topic, one.uri, one.filter) == (asks.app, topic, uri, given.get("filter"))
    ]
    if same:
        error = "Address for this topic has already been taken"
    if error:
        errors = [user_error(error, "webhookSubscription", "callbackUrl")]
        return failed(webhookSubscription=None, userErrors=errors)
    made = Subscription(
        id=asks.world.ids(),
        app=asks.app,
        topic=topic,
        uri=uri,
        filter=given.get("filter"),
        include_fields=tuple(given.get("includeFields") or ()),
        name=given.get("name"),
    )
    asks.shop.subscriptions[made.id] = made
    return {"webhookSubscription": made, "userErrors": []}


def _bad_uri(uri: str) -> str | None:
    """Shopify takes https only. Here plain http is taken too, but only to this machine, where letters can go."""
    if not uri:
        return "Address can't be blank"
    if uri.startswith("https://") or on_this_machine(uri):
        return None
    return "Address protocol http:// is not supported" if uri.startswith("http://") else "Address is invalid"


def _own(asks: Call, given: str) -> Subscription | None:
    found = asks.shop.subscriptions.get(number_of(given, "WebhookSubscription") or 0)
    return found if found and found.app is asks.app else None


@field_of("Mutation", "webhookSubscriptionUpdate")
def webhook_subscription_update(source: object, info: Info, args: Args) -> Payload:
    found = _own(call(info), args["id"])
    given = args["webhookSubscription"]
    if found is None:
        error = user_error("Webhook subscription does not exist", "id")
        return failed(webhookSubscription=None, userErrors=[error])
    if given.get("uri"):
        if problem := _bad_uri(given["uri"]):
            error = user_error(problem, "webhookSubscription", "callbackUrl")
            return failed(webhookSubscription=None, userErrors=[error])
        found.uri = given["uri"]
    return {"webhookSubscription": found, "userErrors": []}


@field_of("Mutation", "webhookSubscriptionDelete")
def webhook_subscription_delete(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    found = _own(asks, args["id"])
    if found is None:
        error = user_error("Webhook subscription does not exist", "id")
        return failed(deletedWebhookSubscriptionId=None, userErrors=[error])
    del asks.shop.subscriptions[found.id]
    return {"deletedWebhookSubscriptionId": args["id"], "userErrors": []}


# --- orders ---------------------------------------------------------------------------------------------------


@field_of("Mutation", "orderCancel")
def order_cancel(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    order = asks.shop.order(args["orderId"])

    def no(message: str, code: str) -> Payload:
        return failed(job=None, orderCancelUserErrors=[user_error(message, "orderId", code=code)])

    if order is None:
        return no("Order does not exist", "NOT_FOUND")
    method: Mapping[str, Any] = args.get("refundMethod") or {}
    refund = bool(method.get("originalPaymentMethodsRefund"))
    try:
        trade.cancel(asks.world, order, reason=args["reason"], restock=args["restock"], refund=refund)
    except trade.CannotTrade as error:
        return no(str(error), "INVALID")
    return {"job": {"id": f"gid://shopify/Job/{asks.world.ids()}", "done": False}, "orderCancelUserErrors": []}


@field_of("Mutation", "orderMarkAsPaid")
def order_mark_as_paid(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    order = asks.shop.order(args["input"]["id"])
    if order is None:
        return failed(order=None, userErrors=[user_error("Order does not exist", "id")])
    try:
        trade.mark_paid(asks.world, order)
    except trade.CannotTrade as error:
        return failed(order=None, userErrors=[user_error(str(error), "id")])
    return {"order": order, "userErrors": []}


@field_of("Mutation", "tagsAdd")
def tags_add(source: object, info: Info, args: Args) -> Payload:
    asks = call(info)
    order = asks.shop.order(args["id"])
    if order is None:
        return failed(node=None, userErrors=[user_error("Node does not exist", "id")])
    trade.tag(asks.world, order, args["tags"])
    return {"node": order, "userErrors": []}
