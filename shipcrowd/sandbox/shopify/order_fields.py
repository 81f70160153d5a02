"""The fields of orders, their lines, money and fulfilment. What is not named here is an attribute of that name."""

import zlib

from shipcrowd.sandbox.shopify.call import (
    FIELDS,
    Args,
    Connection,
    Info,
    Resolver,
    by_id,
    call,
    constant,
    field_of,
    id_of,
    limited,
    paged,
)
from shipcrowd.sandbox.shopify.goods import Price, gid
from shipcrowd.sandbox.shopify.orders import (
    Fulfilment,
    FulfilmentLine,
    FulfilmentOrder,
    LineItem,
    MailingAddress,
    Order,
    Transaction,
)


def _attributes(pairs: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in pairs.items()]


def _price(attribute: str) -> Resolver:
    return lambda source, info, args: source.price(getattr(source, attribute))


FIELDS.update(
    {
        ("Order", "legacyResourceId"): lambda source, info, args: str(source.id),
        ("Order", "confirmed"): constant(True),
        ("Order", "taxesIncluded"): constant(True),
        ("Order", "returnStatus"): constant("NO_RETURN"),
        ("Order", "displayFinancialStatus"): lambda source, info, args: source.financial_status,
        ("Order", "displayFulfillmentStatus"): lambda source, info, args: source.fulfillment_status(call(info).version),
        ("Order", "paymentGatewayNames"): lambda source, info, args: source.gateways,
        ("Order", "currencyCode"): lambda source, info, args: source.currency,
        ("Order", "customAttributes"): lambda source, info, args: _attributes(source.attributes),
        ("Order", "subtotalPriceSet"): _price("subtotal"),
        ("Order", "totalDiscountsSet"): _price("total_discounts"),
        ("Order", "totalShippingPriceSet"): _price("shipping_fee"),
        ("Order", "totalTaxSet"): _price("total_tax"),
        ("Order", "totalPriceSet"): _price("total"),
        ("Order", "currentTotalPriceSet"): _price("current_total"),
        ("Order", "totalOutstandingSet"): _price("outstanding"),
        ("Order", "totalReceivedSet"): _price("received"),
        ("Order", "totalWeight"): lambda source, info, args: str(source.total_grams),
        ("Order", "transactions"): lambda source, info, args: limited(
            [(source, one) for one in source.transactions], args
        ),
        ("Order", "fulfillments"): lambda source, info, args: limited(source.fulfilments, args),
        ("MoneyBag", "shopMoney"): lambda source, info, args: source,
        ("MoneyBag", "presentmentMoney"): lambda source, info, args: source,
        ("MoneyV2", "amount"): lambda source, info, args: source.money,
        ("MoneyV2", "currencyCode"): lambda source, info, args: source.currency,
    }
)


@field_of("Order", "lineItems")
def line_items(source: Order, info: Info, args: Args) -> Connection:
    rows = [(source, line) for line in source.lines]
    return paged(rows, args, info, lambda row: row[1].id)


@field_of("Order", "shippingLines")
def shipping_lines(source: Order, info: Info, args: Args) -> Connection:
    price = source.price(source.shipping_fee)
    row: dict[str, object] = {
        "id": gid("ShippingLine", source.id + 1),
        "title": "Standard",
        "code": "Standard",
        "originalPriceSet": price,
        "discountedPriceSet": price,
    }
    return paged([row] if source.requires_shipping else [], args, info, lambda one: str(one["id"]))


@field_of("Order", "fulfillmentOrders")
def fulfillment_orders(source: Order, info: Info, args: Args) -> Connection:
    asks = call(info)
    # Without the scope Shopify does not refuse: it answers as if there were none.
    own = asks.may("read_merchant_managed_fulfillment_orders")
    others = asks.may("read_third_party_fulfillment_orders")
    found = [fo for fo in source.fulfilment_orders if (others if fo.request_status != "UNSUBMITTED" else own)]
    return paged(sorted(found, key=by_id), args, info, by_id)


def _transaction(attribute: str) -> Resolver:
    return lambda source, info, args: getattr(source[1], attribute)


@field_of("OrderTransaction", "amountSet")
def transaction_amount(source: tuple[Order, Transaction], info: Info, args: Args) -> Price:
    return source[0].price(source[1].amount)


FIELDS.update(
    {
        ("OrderTransaction", "id"): lambda source, info, args: id_of(source[1]),
        ("OrderTransaction", "kind"): _transaction("kind"),
        ("OrderTransaction", "status"): _transaction("status"),
        ("OrderTransaction", "gateway"): _transaction("gateway"),
        ("OrderTransaction", "formattedGateway"): _transaction("gateway"),
        ("OrderTransaction", "manualPaymentGateway"): _transaction("manual"),
    }
)


# A line's prices are in its order's currency, so a line travels together with its order.
Line = tuple[Order, LineItem]


@field_of("LineItem", "taxLines")
def tax_lines(source: Line, info: Info, args: Args) -> list[dict[str, object]]:
    the_order, line = source
    rows: list[dict[str, object]] = [
        {"title": title, "rate": float(rate), "priceSet": the_order.price(amount)}
        for title, rate, amount in line.taxes()
    ]
    return limited(rows, args)


def _line(attribute: str) -> Resolver:
    return lambda source, info, args: getattr(source[1], attribute)


FIELDS.update(
    {
        ("LineItem", "id"): lambda source, info, args: id_of(source[1]),
        ("LineItem", "sku"): lambda source, info, args: source[1].sku or None,
        ("LineItem", "title"): _line("title"),
        ("LineItem", "name"): lambda source, info, args: " - ".join(
            part for part in (source[1].title, source[1].variant_title) if part
        ),
        ("LineItem", "variantTitle"): _line("variant_title"),
        ("LineItem", "quantity"): _line("quantity"),
        ("LineItem", "currentQuantity"): _line("current_quantity"),
        ("LineItem", "unfulfilledQuantity"): _line("unfulfilled"),
        ("LineItem", "requiresShipping"): _line("requires_shipping"),
        ("LineItem", "variant"): _line("variant"),
        ("LineItem", "product"): lambda source, info, args: source[1].variant.product if source[1].variant else None,
        ("LineItem", "customAttributes"): lambda source, info, args: _attributes(source[1].properties),
        ("LineItem", "originalUnitPriceSet"): lambda source, info, args: source[0].price(source[1].unit_price),
        ("LineItem", "discountedUnitPriceAfterAllDiscountsSet"): lambda source, info, args: source[0].price(
            source[1].net_unit_price
        ),
        ("Customer", "displayName"): lambda source, info, args: f"{source.first_name} {source.last_name}".strip(),
        ("Customer", "defaultEmailAddress"): lambda source, info, args: (
            {"emailAddress": source.email} if source.email else None
        ),
        ("Customer", "defaultPhoneNumber"): lambda source, info, args: (
            {"phoneNumber": source.phone} if source.phone else None
        ),
        ("MailingAddress", "countryCodeV2"): lambda source, info, args: source.country_code,
    }
)


@field_of("MailingAddress", "id")
def address_id(source: MailingAddress, info: Info, args: Args) -> str:
    return gid("MailingAddress", zlib.crc32(repr(source).encode())) + "?model_name=Address"


# --- fulfilment -----------------------------------------------------------------------------------------------


@field_of("FulfillmentOrder", "supportedActions")
def supported_actions(source: FulfilmentOrder, info: Info, args: Args) -> list[dict[str, object]]:
    return [{"action": action, "externalUrl": None} for action in source.supported_actions]


@field_of("FulfillmentOrder", "fulfillmentHolds")
def fulfillment_holds(source: FulfilmentOrder, info: Info, args: Args) -> list[dict[str, object]]:
    return [
        {
            "id": id_of(hold),
            "reason": hold.reason,
            "reasonNotes": hold.note,
            "displayReason": hold.reason.replace("_", " ").capitalize(),
            "heldByRequestingApp": hold.by_app is call(info).app,
        }
        for hold in source.holds
    ]


@field_of("FulfillmentOrder", "deliveryMethod")
def delivery_method(source: FulfilmentOrder, info: Info, args: Args) -> dict[str, str]:
    return {"id": gid("DeliveryMethod", source.id), "methodType": source.method}


@field_of("FulfillmentOrder", "assignedLocation")
def assigned_location(source: FulfilmentOrder, info: Info, args: Args) -> dict[str, object]:
    return {"name": source.location.name, "location": source.location}


@field_of("FulfillmentOrder", "lineItems")
def fulfillment_order_lines(source: FulfilmentOrder, info: Info, args: Args) -> Connection:
    rows = [(source, part) for part in source.lines]
    return paged(rows, args, info, lambda row: row[1].id)


FoLine = tuple[FulfilmentOrder, FulfilmentLine]
FIELDS.update(
    {
        ("FulfillmentOrder", "fulfillBy"): constant(None),
        ("FulfillmentOrder", "fulfillAt"): lambda source, info, args: source.fulfill_at,
        ("FulfillmentOrderLineItem", "id"): lambda source, info, args: id_of(source[1]),
        ("FulfillmentOrderLineItem", "sku"): lambda source, info, args: source[1].line.sku or None,
        ("FulfillmentOrderLineItem", "remainingQuantity"): _line("remaining"),
        ("FulfillmentOrderLineItem", "totalQuantity"): _line("total"),
        ("FulfillmentOrderLineItem", "lineItem"): lambda source, info, args: (source[0].order, source[1].line),
        ("Fulfillment", "legacyResourceId"): lambda source, info, args: str(source.id),
    }
)


@field_of("Fulfillment", "trackingInfo")
def tracking_info(source: Fulfilment, info: Info, args: Args) -> list[dict[str, str | None]]:
    """Numbers and URLs are paired by their position."""
    count = max(len(source.numbers), len(source.urls))
    rows: list[dict[str, str | None]] = [
        {
            "company": source.company,
            "number": source.numbers[i] if i < len(source.numbers) else None,
            "url": source.urls[i] if i < len(source.urls) else None,
        }
        for i in range(count)
    ]
    return limited(rows, args)
