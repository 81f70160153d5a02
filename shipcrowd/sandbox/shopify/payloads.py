"""Webhook bodies. They keep the shape of Shopify's old REST API: snake case, numeric ids, times on the shop's clock."""

from datetime import datetime
from decimal import Decimal

from shipcrowd.kernel import clock
from shipcrowd.kernel.money import Money
from shipcrowd.sandbox.schemas import Access
from shipcrowd.sandbox.shopify.goods import Level, gid
from shipcrowd.sandbox.shopify.orders import (
    Customer,
    Fulfilment,
    FulfilmentEvent,
    FulfilmentOrder,
    LineItem,
    MailingAddress,
    Order,
)
from shipcrowd.sandbox.shopify.state import Shop

Payload = dict[str, object]

FULFILLMENT_WORDS = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}


def order(it: Order) -> Payload:
    body: Payload = {
        "id": it.id,
        "admin_graphql_api_id": gid("Order", it.id),
        "name": it.name,
        "number": it.number - 1000,
        "order_number": it.number,
        "created_at": moment(it.created_at),
        "updated_at": moment(it.updated_at),
        "processed_at": moment(it.processed_at),
        "cancelled_at": moment(it.cancelled_at),
        "cancel_reason": it.cancel_reason.lower() if it.cancel_reason else None,
        "closed_at": moment(it.closed_at),
        "confirmed": True,
        "financial_status": it.financial_status.lower(),
        "fulfillment_status": FULFILLMENT_WORDS.get(it.fulfillment_status("2026-10")),
        "test": it.test,
        "payment_gateway_names": list(it.gateways),
        "currency": it.currency,
        "presentment_currency": it.currency,
        "taxes_included": True,
        "subtotal_price": it.subtotal.plain(),
        "total_discounts": it.total_discounts.plain(),
        "total_line_items_price": (it.subtotal + it.total_discounts).plain(),
        "total_tax": it.total_tax.plain(),
        "total_price": it.total.plain(),
        "current_total_price": it.current_total.plain(),
        "total_outstanding": it.outstanding.plain(),
        "total_weight": it.total_grams,
        "total_shipping_price_set": bag(it, it.shipping_fee),
        "email": it.email,
        "contact_email": it.email,
        "phone": it.phone,
        "note": it.note,
        "tags": ", ".join(it.tags),
        "note_attributes": [{"name": name, "value": value} for name, value in it.attributes.items()],
        "source_name": it.source_name,
        "customer": customer(it.customer),
        "shipping_address": address(it.shipping_address),
        "billing_address": address(it.billing_address),
        "line_items": [line(one) for one in it.lines],
        "shipping_lines": [
            {
                "id": it.id + 1,
                "title": "Standard",
                "code": "Standard",
                "price": it.shipping_fee.plain(),
                "tax_lines": [],
                "discount_allocations": [],
            }
        ],
        "tax_lines": tax_lines(it),
        "fulfillments": [fulfilment(one) for one in it.fulfilments],
        "refunds": [],
    }
    return without_buyer(body) if it.shop.access is not Access.granted else body


def tax_lines(it: Order) -> list[Payload]:
    """The taxes of all lines, added up by title and rate."""
    sums: dict[tuple[str, Decimal], Money] = {}
    for one in it.lines:
        for title, rate, amount in one.taxes():
            sums[title, rate] = sums.get((title, rate), Money.zero) + amount
    return [{"title": title, "rate": float(rate), "price": amount.plain()} for (title, rate), amount in sums.items()]


def without_buyer(body: Payload) -> Payload:
    """The same payload for an app that may not see protected customer data."""
    hidden = ("email", "contact_email", "phone", "customer", "shipping_address", "billing_address")
    return {key: (None if key in hidden else value) for key, value in body.items()}


def line(it: LineItem) -> Payload:
    named = f"{it.title} - {it.variant_title}" if it.variant_title else it.title
    return {
        "id": it.id,
        "admin_graphql_api_id": gid("LineItem", it.id),
        "sku": it.sku,
        "title": it.title,
        "variant_title": it.variant_title,
        "name": named,
        "quantity": it.quantity,
        "current_quantity": it.current_quantity,
        "fulfillable_quantity": it.unfulfilled,
        "price": it.unit_price.plain(),
        "total_discount": "0.00",
        "grams": it.grams,
        "requires_shipping": it.requires_shipping,
        "taxable": bool(it.tax_rates),
        "product_exists": it.variant is not None,
        "product_id": it.variant.product.id if it.variant else None,
        "variant_id": it.variant.id if it.variant else None,
        "fulfillment_service": "manual",
        "fulfillment_status": "fulfilled" if it.fulfilled and not it.unfulfilled else None,
        "tax_lines": [
            {"title": title, "rate": float(rate), "price": amount.plain()} for title, rate, amount in it.taxes()
        ],
        "discount_allocations": [{"amount": it.discount.plain(), "discount_application_index": 0}]
        if it.discount
        else [],
        "properties": [{"name": name, "value": value} for name, value in it.properties.items()],
    }


def address(it: MailingAddress | None) -> Payload | None:
    if it is None:
        return None
    return {
        "first_name": it.first_name,
        "last_name": it.last_name,
        "name": it.name,
        "company": it.company,
        "address1": it.address1,
        "address2": it.address2,
        "city": it.city,
        "province": it.province,
        "province_code": it.province_code,
        "zip": it.zip,
        "country": it.country,
        "country_code": it.country_code,
        "phone": it.phone,
        "latitude": None,
        "longitude": None,
    }


def customer(it: Customer | None) -> Payload | None:
    if it is None:
        return None
    return {
        "id": it.id,
        "first_name": it.first_name,
        "last_name": it.last_name,
        "email": it.email,
        "phone": it.phone,
        "admin_graphql_api_id": gid("Customer", it.id),
    }


def fulfilment(it: Fulfilment) -> Payload:
    return {
        "id": it.id,
        "admin_graphql_api_id": gid("Fulfillment", it.id),
        "order_id": it.order.id,
        "name": it.name,
        "status": it.status.lower(),
        "service": "manual",
        "location_id": it.location.id,
        "tracking_company": it.company,
        "tracking_number": it.numbers[0] if it.numbers else None,
        "tracking_numbers": list(it.numbers),
        "tracking_url": it.urls[0] if it.urls else None,
        "tracking_urls": list(it.urls),
        "shipment_status": it.events[-1].status.lower() if it.events else None,
        "line_items": [{**line(one), "quantity": quantity} for one, quantity in it.lines],
        "created_at": moment(it.created_at),
        "updated_at": moment(it.updated_at),
    }


def fulfilment_event(parcel: Fulfilment, it: FulfilmentEvent) -> Payload:
    return {
        "id": it.id,
        "admin_graphql_api_id": gid("FulfillmentEvent", it.id),
        "fulfillment_id": parcel.id,
        "order_id": parcel.order.id,
        "shop_id": parcel.order.shop.id,
        "status": it.status.lower(),
        "message": it.message,
        "happened_at": moment(it.happened_at),
        "city": it.city,
        "province": it.province,
        "country": it.country,
        "zip": it.zip,
    }


def fulfilment_order(it: FulfilmentOrder) -> Payload:
    return {"fulfillment_order": {"id": gid("FulfillmentOrder", it.id), "status": it.status.lower()}}


def level(it: Level) -> Payload:
    return {
        "inventory_item_id": it.item.id,
        "location_id": it.location.id,
        "available": it.available,
        "updated_at": moment(it.updated_at),
        "admin_graphql_api_id": f"{gid('InventoryLevel', it.id)}?inventory_item_id={it.item.id}",
    }


def shop(it: Shop) -> Payload:
    return {
        "id": it.id,
        "name": it.name,
        "email": it.email,
        "domain": it.domain,
        "myshopify_domain": it.domain,
        "currency": it.currency,
        "iana_timezone": "Asia/Kolkata",
        "country_code": "IN",
    }


def bag(it: Order, money: Money) -> Payload:
    amount = {"amount": money.plain(), "currency_code": it.currency}
    return {"shop_money": amount, "presentment_money": amount}


def moment(at: datetime | None) -> str | None:
    """`2026-11-22T10:14:12+05:30`: whole seconds on an Indian clock."""
    return clock.ist(at).isoformat(timespec="seconds") if at else None
