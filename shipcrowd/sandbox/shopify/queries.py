"""How each field a shipping app may ask for is answered. Fields not named here are attributes of the same name."""

import re
from datetime import datetime, timedelta
from typing import Any

from shipcrowd.sandbox.schemas import Access
from shipcrowd.sandbox.shopify import bulk, search
from shipcrowd.sandbox.shopify.call import (
    FIELDS,
    Args,
    Call,
    Connection,
    Info,
    by_id,
    call,
    field_of,
    id_of,
    paged,
    plain,
    refuse,
)
from shipcrowd.sandbox.shopify.goods import Variant, gid, number_of
from shipcrowd.sandbox.shopify.orders import Order
from shipcrowd.sandbox.shopify.state import Shop

PCD_DOCS = "https://shopify.dev/docs/apps/launch/protected-customer-data"
ORDER_WINDOW = timedelta(days=60)
FO_SCOPES = ("merchant_managed", "third_party", "assigned")

NEEDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("QueryRoot", "orders"): ("read_orders",),
    ("QueryRoot", "order"): ("read_orders",),
    ("QueryRoot", "inventoryItem"): ("read_inventory",),
    ("QueryRoot", "inventoryItems"): ("read_inventory",),
    ("QueryRoot", "productVariant"): ("read_products",),
    ("QueryRoot", "productVariants"): ("read_products",),
    ("QueryRoot", "location"): ("read_locations",),
    ("QueryRoot", "locations"): ("read_locations",),
    **{
        ("Mutation", name): tuple(f"write_{kind}_fulfillment_orders" for kind in FO_SCOPES)
        for name in (
            "fulfillmentCreate",
            "fulfillmentTrackingInfoUpdate",
            "fulfillmentCancel",
            "fulfillmentEventCreate",
            "fulfillmentOrderHold",
            "fulfillmentOrderReleaseHold",
            "fulfillmentOrderOpen",
        )
    },
    ("Mutation", "inventorySetQuantities"): ("write_inventory",),
    ("Mutation", "inventoryAdjustQuantities"): ("write_inventory",),
    ("Mutation", "orderCancel"): ("write_orders",),
    ("Mutation", "orderMarkAsPaid"): ("write_orders",),
    ("Mutation", "tagsAdd"): ("write_orders",),
}
"""Field → scopes, any one of which opens it."""

PROTECTED = {
    "Order": {"email", "phone", "shippingAddress", "billingAddress", "customer"},
    "Customer": {"firstName", "lastName", "displayName", "defaultEmailAddress", "defaultPhoneNumber"},
}


def resolve(source: Any, info: Info, **args: Any) -> object:
    """Any field: check access, then the declared answer or the attribute of that name."""
    kind, name = info.parent_type.name, info.field_name
    _check_access(call(info), kind, name)
    if declared := FIELDS.get((kind, name)):
        return plain(declared(source, info, args))
    if isinstance(source, dict):
        return plain(source.get(name))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    if name == "id":
        return id_of(source)
    return plain(getattr(source, snake(name)))


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _check_access(asks: Call, kind: str, name: str) -> None:
    needs = NEEDS.get((kind, name), ())
    if needs and not any(asks.may(scope) for scope in needs):
        words = " or ".join(f"`{scope}`" for scope in needs)
        raise refuse(
            f"Access denied for {name} field. Required access: {words} access scope.",
            "ACCESS_DENIED",
            documentation="https://shopify.dev/api/usage/access-scopes",
            requiredAccess=f"{words} access scope.",
        )
    if asks.shop.access is Access.denied and (kind, name) in (("QueryRoot", "orders"), ("QueryRoot", "order")):
        raise refuse(
            f"This app is not approved to access the Order object. See {PCD_DOCS} for more details.", "ACCESS_DENIED"
        )
    if asks.shop.access is Access.fields_denied and name in PROTECTED.get(kind, ()):
        raise refuse(
            f"This app is not approved to use the {name} field. See {PCD_DOCS} for more details.", "ACCESS_DENIED"
        )


# --- connections ----------------------------------------------------------------------------------------------


def _page_info(source: Connection, info: Info, args: Args) -> object:
    return {
        "hasNextPage": source.has_next_page,
        "hasPreviousPage": source.has_previous_page,
        "startCursor": source.cursors[0] if source.cursors else None,
        "endCursor": source.cursors[-1] if source.cursors else None,
    }


def _edges(source: Connection, info: Info, args: Args) -> object:
    return [{"cursor": at, "node": node} for at, node in zip(source.cursors, source.nodes, strict=True)]


def _nodes(source: Connection, info: Info, args: Args) -> object:
    return source.nodes


CONNECTIONS = (
    "Order LineItem ShippingLine FulfillmentOrder FulfillmentOrderLineItem ProductVariant InventoryItem InventoryLevel "
    "Location WebhookSubscription"
)
for _name in CONNECTIONS.split():
    FIELDS[f"{_name}Connection", "pageInfo"] = _page_info
    FIELDS[f"{_name}Connection", "edges"] = _edges
    FIELDS[f"{_name}Connection", "nodes"] = _nodes


# --- the root -------------------------------------------------------------------------------------------------


@field_of("QueryRoot", "orders")
def orders(source: object, info: Info, args: Args) -> Connection:
    asks = call(info)
    terms, warnings = search.parse(args.get("query"))
    asks.warnings.extend(warnings)
    found: list[tuple[Order, datetime]] = []
    for order in asks.shop.orders.values():
        indexed = _as_indexed(asks, order)
        if indexed is None or not _visible(asks, order):
            continue
        verdicts = [search.matches(order, term, indexed, asks.version) for term in terms]
        if all(verdict is not False for verdict in verdicts):
            found.append((order, indexed))
    for term in terms:
        if (
            asks.shop.orders
            and search.matches(next(iter(asks.shop.orders.values())), term, asks.now, asks.version) is None
        ):
            asks.warnings.append({"field": term.field, "message": f"Invalid search field or value: {term.field}."})
    sort_key = str(args.get("sortKey", "PROCESSED_AT"))
    seen = {order.id: indexed for order, indexed in found}

    def key(order: Order) -> list[object]:
        by: dict[str, object] = {
            "UPDATED_AT": seen[order.id].isoformat(),
            "CREATED_AT": order.created_at.isoformat(),
            "PROCESSED_AT": order.processed_at.isoformat(),
            "ORDER_NUMBER": order.number,
            "ID": order.id,
        }
        return [by[sort_key], order.id]

    return paged(sorted((order for order, _ in found), key=key), args, info, key)


def _as_indexed(asks: Call, order: Order) -> datetime | None:
    """The updated_at the search index knows by now; None when it has not seen the order yet."""
    horizon = asks.now - timedelta(seconds=asks.world.knobs.index_lag_seconds)
    for changed_at, updated_at in reversed(order.indexed):
        if changed_at <= horizon:
            return updated_at
    return None


def _visible(asks: Call, order: Order) -> bool:
    return "read_all_orders" in asks.scopes or order.created_at > asks.now - ORDER_WINDOW


@field_of("QueryRoot", "order")
def order(source: object, info: Info, args: Args) -> Order | None:
    asks = call(info)
    found = asks.shop.order(args["id"])
    return found if found and _visible(asks, found) else None


@field_of("QueryRoot", "node")
def node(source: object, info: Info, args: Args) -> object:
    shop = call(info).shop
    given = args["id"]
    return shop.order(given) or shop.fulfilment_order(given) or shop.fulfilment(given) or shop.item(given)


@field_of("QueryRoot", "fulfillment")
def fulfillment(source: object, info: Info, args: Args) -> object:
    return call(info).shop.fulfilment(args["id"])


@field_of("QueryRoot", "fulfillmentOrder")
def fulfillment_order(source: object, info: Info, args: Args) -> object:
    return call(info).shop.fulfilment_order(args["id"])


@field_of("QueryRoot", "inventoryItem")
def inventory_item(source: object, info: Info, args: Args) -> object:
    return call(info).shop.item(args["id"])


@field_of("QueryRoot", "inventoryItems")
def inventory_items(source: object, info: Info, args: Args) -> Connection:
    items = [variant.item for variant in _variants(call(info), args.get("query"))]
    return paged(sorted(items, key=by_id), args, info, by_id)


@field_of("QueryRoot", "productVariant")
def product_variant(source: object, info: Info, args: Args) -> object:
    number = number_of(args["id"], "ProductVariant")
    return next((variant for variant in call(info).shop.variants if variant.id == number), None)


@field_of("QueryRoot", "productVariants")
def product_variants(source: object, info: Info, args: Args) -> Connection:
    return paged(sorted(_variants(call(info), args.get("query")), key=by_id), args, info, by_id)


def _variants(asks: Call, query: str | None) -> list[Variant]:
    terms, warnings = search.parse(query)
    asks.warnings.extend(warnings)
    found = asks.shop.variants
    for term in terms:
        wanted = term.value.lower()
        if term.field == "sku":
            found = [one for one in found if (one.sku.lower() == wanted) != term.negated]
        elif term.field == "id":
            found = [one for one in found if str(one.id) == wanted or str(one.item.id) == wanted]
    return list(found)


@field_of("QueryRoot", "location")
def location(source: object, info: Info, args: Args) -> object:
    shop = call(info).shop
    return shop.location(args["id"]) if args.get("id") else shop.locations[0]


@field_of("QueryRoot", "locations")
def locations(source: object, info: Info, args: Args) -> Connection:
    found = [one for one in call(info).shop.locations if one.is_active or args.get("includeInactive")]
    return paged(sorted(found, key=by_id), args, info, by_id)


@field_of("QueryRoot", "shop")
def shop(source: object, info: Info, args: Args) -> Shop:
    return call(info).shop


@field_of("QueryRoot", "currentAppInstallation")
def current_app_installation(source: object, info: Info, args: Args) -> object:
    scopes = sorted(call(info).scopes)
    return {
        "id": gid("AppInstallation", call(info).shop.id + 1),
        "accessScopes": [{"handle": scope, "description": scope.replace("_", " ")} for scope in scopes],
    }


@field_of("QueryRoot", "webhookSubscriptions")
def webhook_subscriptions(source: object, info: Info, args: Args) -> Connection:
    asks = call(info)
    topics = args.get("topics")
    found = [
        one
        for one in asks.shop.subscriptions.values()
        if one.app is asks.app and (topics is None or one.topic in topics) and args.get("uri") in (None, one.uri)
    ]
    return paged(sorted(found, key=by_id), args, info, by_id)


@field_of("QueryRoot", "bulkOperation")
def bulk_operation(source: object, info: Info, args: Args) -> object:
    asks = call(info)
    found = asks.shop.bulks.get(number_of(args["id"], "BulkOperation") or 0)
    if found:
        bulk.advance(asks.world, asks.shop, found)
    return found
