"""An order in the words of Orders v2026-01-01, and the little v0 still says about buyers."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from decimal import Decimal

from shipcrowd.sandbox.amazon.call import stamp
from shipcrowd.sandbox.amazon.orders import EASY_SHIP, Item, Order
from shipcrowd.sandbox.amazon.state import MARKETPLACES, Seller

INCLUDABLE = frozenset(
    (
        "BUYER", "RECIPIENT", "PROCEEDS", "EXPENSE", "PROMOTION", "CANCELLATION",
        "FULFILLMENT", "PACKAGES", "TAX", "PAYMENT", "FULFILLMENT_ORDERS",
    )
)  # fmt: skip

Json = dict[str, object]


def order(it: Order, seller: Seller, included: Collection[str], now: datetime) -> Json:
    """The order with the datasets of `included`. Of a pending one Amazon does not tell totals and address."""
    if it.broken:
        return _broken(it)
    market = MARKETPLACES[it.marketplace]
    aliases = [{"aliasId": it.reference, "aliasType": "SELLER_ORDER_ID"}] if it.reference else []
    body: Json = {
        "orderId": it.id,
        "orderAliases": aliases,
        "createdTime": stamp(it.created_at),
        "lastUpdatedTime": stamp(it.updated_at),
        "programs": list(it.programs),
        "associatedOrders": [],
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": market.id, "marketplaceName": market.name},
        "orderItems": [_item(one, it, included) for one in it.items],
    }
    for dataset, name, make in PARTS:
        if dataset in included and (part := make(it, seller, now)) is not None:
            body[name] = part
    return body


def _broken(it: Order) -> Json:
    """No order of the model: what a client must keep aside without losing the rest of the page."""
    return {
        "orderId": it.id,
        "createdTime": "yesterday",
        "lastUpdatedTime": stamp(it.updated_at),
        "salesChannel": None,
        "fulfillment": {"fulfillmentStatus": 7},
        "orderItems": [{"orderItemId": None, "quantityOrdered": "two", "product": "KURTA"}],
    }


def is_pending(it: Order) -> bool:
    return it.status in ("PENDING", "PENDING_AVAILABILITY")


def may_name(it: Order, seller: Seller) -> bool:
    """Whether buyer and recipient are told: to apps with the restricted role, of merchant-fulfilled orders."""
    return it.personal and seller.personal_data and it.fulfilled_by == "MERCHANT" and not is_pending(it)


def money(amount: Decimal) -> Json:
    return {"amount": f"{amount:.2f}", "currencyCode": "INR"}


def window(between: tuple[datetime, datetime]) -> Json:
    earliest, latest = (at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in between)
    return {"earliestDateTime": earliest, "latestDateTime": latest}


# --- parts ----------------------------------------------------------------------------------------------------


def _buyer(it: Order, seller: Seller, now: datetime) -> Json | None:
    if not may_name(it, seller):
        return None
    buyer: Json = {"buyerName": it.person.name, "buyerEmail": it.person.email}
    if it.person.company:
        buyer["buyerCompanyName"] = it.person.company
    return buyer


def _recipient(it: Order, seller: Seller, now: datetime) -> Json | None:
    if is_pending(it) or not (may_name(it, seller) or it.fulfilled_by == "AMAZON"):
        return None
    place: Json = {
        "city": it.person.city.upper(),
        "stateOrRegion": it.person.state.upper(),
        "postalCode": it.person.pincode,
        "countryCode": "IN",
    }
    if may_name(it, seller):
        place = {
            "name": it.person.name,
            **({"companyName": it.person.company} if it.person.company else {}),
            "addressLine1": it.person.line1,
            **({"addressLine2": it.person.line2} if it.person.line2 else {}),
            **place,
            # Amazon forgets the number once the parcel should have arrived.
            **({"phone": it.person.phone} if now <= it.deliver_by[1] else {}),
            "addressType": "RESIDENTIAL",
        }
    return {"deliveryAddress": place}


def _proceeds(it: Order, seller: Seller, now: datetime) -> Json | None:
    if is_pending(it):
        return None
    parts = [("ITEM", sum((one.total for one in it.items), Decimal(0)))]
    parts += [("SHIPPING", it.shipping_fee)] if it.shipping_fee else []
    parts += [("COD_FEE", it.cod_fee)] if it.cod_fee else []
    return {
        "grandTotal": money(it.total),
        "breakdowns": [{"type": kind, "subtotal": money(amount)} for kind, amount in parts],
    }


def _payment(it: Order, seller: Seller, now: datetime) -> Json | None:
    if is_pending(it):
        return None
    if not it.cod:
        return {"paymentExecutions": [{"paymentMethod": "CreditCard", "paymentAmount": money(it.total)}]}
    if not it.gift_card:
        return {"paymentExecutions": [{"paymentMethod": "CashOnDelivery"}]}
    rest = it.total - it.gift_card
    return {
        "paymentExecutions": [
            {"paymentMethod": "GiftCard", "paymentAmount": money(it.gift_card)},
            {"paymentMethod": "CashOnDelivery", "paymentAmount": money(rest)},
        ]
    }


def _fulfillment(it: Order, seller: Seller, now: datetime) -> Json:
    return {
        "fulfillmentStatus": it.status,
        "fulfilledBy": it.fulfilled_by,
        "fulfillmentServiceLevel": it.service,
        "shipByWindow": window(it.ship_by),
        "deliverByWindow": window(it.deliver_by),
    }


def _packages(it: Order, seller: Seller, now: datetime) -> list[Json] | None:
    if it.fulfilled_by == "AMAZON":
        return None
    packages: list[Json] = [
        {
            "packageReferenceId": one.reference,
            "createdTime": stamp(one.made_at),
            "packageStatus": {"status": one.status},
            "carrier": one.carrier,
            "shipTime": stamp(one.shipped_at),
            "shippingService": one.method,
            "trackingNumber": one.tracking,
            "packageItems": [{"orderItemId": item, "quantity": units} for item, units in one.items.items()],
        }
        for one in it.packages
    ]
    if it.easy_ship and it.easy_ship.package_id and it.easy_ship.scheduled_at:
        detailed, status = EASY_SHIP[it.easy_ship.status]
        packages.append(
            {
                "packageReferenceId": it.easy_ship.package_id,
                "createdTime": stamp(it.easy_ship.scheduled_at),
                "packageStatus": {"status": status, "detailedStatus": detailed},
                "carrier": "ATS",
                "trackingNumber": it.easy_ship.tracking,
                "packageItems": [{"orderItemId": one.id, "quantity": one.quantity} for one in it.items],
            }
        )
    return packages


def _tax(it: Order, seller: Seller, now: datetime) -> Json:
    return {"taxRegistrations": []}


def _fulfillment_orders(it: Order, seller: Seller, now: datetime) -> list[Json]:
    return []


PARTS: tuple[tuple[str, str, Callable[[Order, Seller, datetime], object]], ...] = (
    ("BUYER", "buyer", _buyer),
    ("RECIPIENT", "recipient", _recipient),
    ("PROCEEDS", "proceeds", _proceeds),
    ("PAYMENT", "payment", _payment),
    ("FULFILLMENT", "fulfillment", _fulfillment),
    ("PACKAGES", "packages", _packages),
    ("TAX", "tax", _tax),
    ("FULFILLMENT_ORDERS", "fulfillmentOrders", _fulfillment_orders),
)
"""Dataset, the field it fills, and how. A part that is None is left out."""


def _item(it: Item, of: Order, included: Collection[str]) -> Json:
    product: Json = {"asin": it.asin, "title": it.title, "sellerSku": it.sku, "condition": {"conditionType": "NEW"}}
    if not is_pending(of):
        product["price"] = {"unitPrice": money(it.unit_price)}
    body: Json = {"orderItemId": it.id, "quantityOrdered": it.quantity, "product": product}
    if "PROCEEDS" in included and not is_pending(of):
        body["proceeds"] = {
            "proceedsTotal": money(it.total),
            "breakdowns": [{"type": "ITEM", "subtotal": money(it.total)}],
        }
    if "CANCELLATION" in included and it.cancel_reason:
        body["cancellation"] = {"cancellationRequest": {"requester": "BUYER", "cancelReason": it.cancel_reason}}
    if "FULFILLMENT" in included:
        left = 0 if of.status == "CANCELLED" else it.quantity - it.shipped
        fulfillment: Json = {"quantityFulfilled": it.shipped, "quantityUnfulfilled": left}
        if of.cod and not is_pending(of):
            fulfillment["shipping"] = {"shippingConstraints": {"cashOnDelivery": "MANDATORY"}}
        body["fulfillment"] = fulfillment
    return body


# --- what v0 still tells of buyers, against a restricted token ------------------------------------------------


def v0_buyer(it: Order) -> Json:
    return {"AmazonOrderId": it.id, "BuyerEmail": it.person.email, "BuyerName": it.person.name}


def v0_address(it: Order, elements: Collection[str] | None) -> Json:
    """The address; with `elements` None only what names nobody."""
    place: Json = {
        "StateOrRegion": it.person.state.upper(),
        "PostalCode": it.person.pincode,
        "City": it.person.city.upper(),
        "CountryCode": "IN",
    }
    if elements is not None:
        place = {
            "Name": it.person.name,
            "AddressLine1": it.person.line1,
            "AddressLine2": it.person.line2,
            **place,
            "Phone": it.person.phone,
            "AddressType": "Residential",
        }
    return {"AmazonOrderId": it.id, "ShippingAddress": place}
