"""Shopify's two shapes of an order, GraphQL's and the webhooks', turned into ours. Pure: no network, no clock.

What the shapes share (address, payment, state) is decided once; each shape only says where things stand. Both may
lack anything: a payload of 2014 maps as well as one of today. What cannot be read raises Malformed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from shipcrowd.channels.contract import Listing
from shipcrowd.integrations.shopify import words
from shipcrowd.integrations.shopify.raw import entries, nodes, obj, objects, reading
from shipcrowd.integrations.shopify.words import Standing, tail
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Json, Malformed
from shipcrowd.orders.schemas import IncomingLine, IncomingOrder
from shipcrowd.pincodes.address import Address, indian_mobile

_GRAMS = {
    "GRAMS": Decimal(1),
    "KILOGRAMS": Decimal(1000),
    "OUNCES": Decimal("28.349523"),
    "POUNDS": Decimal("453.59237"),
}
_NO_VARIANT = "Default Title"  # what Shopify calls the only variant of a product without variants
_NO_COUNTRY = "ZZ"  # ISO 3166's user-assigned "unknown"


def incoming_order(raw: Json, *, withheld: bool = False) -> IncomingOrder:
    """An `Order` as `OrderById` reads it. `withheld`: Shopify said that it keeps the buyer's data from us."""
    with reading("order", raw):
        items = nodes(raw["lineItems"])
        fulfilments = objects(raw.get("fulfillments"))
        assigned = nodes(raw.get("fulfillmentOrders"))
        methods = {obj(fo.get("deliveryMethod")).get("methodType") for fo in assigned}
        live = [fo for fo in assigned if fo.get("status") not in ("CLOSED", "CANCELLED", "INCOMPLETE")]
        standing = Standing(
            cancelled=raw.get("cancelledAt") is not None,
            financial=_upper(raw.get("displayFinancialStatus")),
            fulfilment=_upper(raw.get("displayFulfillmentStatus")),
            gateways=_gateways(raw),
            outstanding=_set(raw, "totalOutstandingSet"),
            ships=raw.get("requiresShipping", True) is not False
            and (not methods or bool(methods & {"SHIPPING", None})),
            lines_left=any(_left(item, "currentQuantity") for item in items),
            delivered=_all_say(fulfilments, "displayStatus", "DELIVERED"),
            at_another_service=bool(live) and all(fo.get("requestStatus") in words.AT_ANOTHER_SERVICE for fo in live),
        )
        customer = obj(raw.get("customer"))
        contact = _Contact(
            name=" ".join(filter(None, (customer.get("firstName"), customer.get("lastName")))),
            phones=(raw.get("phone"), obj(customer.get("defaultPhoneNumber")).get("phoneNumber")),
            email=raw.get("email") or obj(customer.get("defaultEmailAddress")).get("emailAddress"),
        )
        ship_to, bill_to = _addresses(raw.get("shippingAddress"), raw.get("billingAddress"), contact, standing.ships)
        deadlines = [_time(fo["fulfillBy"]) for fo in live if fo.get("fulfillBy")]
        return IncomingOrder(
            external_id=str(raw.get("legacyResourceId") or tail(raw["id"])),
            external_ref=raw["id"],
            number=raw["name"],
            placed_at=_time(raw.get("processedAt") or raw["createdAt"]),
            source_updated_at=_time(raw["updatedAt"]),
            state=words.state(standing),
            payment=words.payment(standing),
            currency=raw["currencyCode"],
            subtotal=_set(raw, "subtotalPriceSet") or Money.zero,
            discount=_set(raw, "totalDiscountsSet") or Money.zero,
            shipping=_set(raw, "totalShippingPriceSet") or Money.zero,
            tax=_set(raw, "totalTaxSet") or Money.zero,
            total=_required(_set(raw, "currentTotalPriceSet"), "currentTotalPriceSet"),
            to_collect=words.to_collect(standing),
            taxes_included=bool(raw.get("taxesIncluded", True)),
            ship_to=ship_to,
            bill_to=bill_to,
            buyer_gstin=words.gstin(_pairs(raw.get("customAttributes"), "key")),
            lines=tuple(_line(item) for item in items if _left(item, "currentQuantity")),
            weight_grams=_positive(raw.get("totalWeight")),
            ship_by=min(deadlines, default=None),
            note=raw.get("note") or "",
            tags=tuple(entries(raw.get("tags"))),
            hold_reasons=_hold_reasons(live),
            test=bool(raw.get("test")),
            pii_withheld=standing.ships and (withheld or _anonymous(ship_to)),
            attributes=_attributes(raw, standing, "sourceName", "cancelReason", "returnStatus"),
        )


def order_from_payload(raw: Json) -> IncomingOrder:
    """An order as a webhook carries it, bare or inside `{"order": …}`; every field younger than 2014 may be absent."""
    with reading("order payload", raw):
        if "order" in raw and "id" not in raw:
            raw = raw["order"]
        items = objects(raw.get("line_items"))
        standing = payload_standing(raw)
        customer = obj(raw.get("customer"))
        contact = _Contact(
            name=" ".join(filter(None, (customer.get("first_name"), customer.get("last_name")))),
            phones=(raw.get("phone"), customer.get("phone"), obj(customer.get("default_address")).get("phone")),
            email=raw.get("email") or raw.get("contact_email") or customer.get("email"),
        )
        ship_to, bill_to = _addresses(
            _like_graphql(raw.get("shipping_address")),
            _like_graphql(raw.get("billing_address")),
            contact,
            standing.ships,
        )
        return IncomingOrder(
            external_id=str(raw["id"]),
            external_ref=raw.get("admin_graphql_api_id") or words.gid("Order", str(raw["id"])),
            number=raw.get("name") or f"#{raw['order_number']}",
            placed_at=_time(raw.get("processed_at") or raw["created_at"]),
            source_updated_at=_time(raw.get("updated_at") or raw["created_at"]),
            state=words.state(standing),
            payment=words.payment(standing),
            currency=raw["currency"],
            subtotal=_money(raw.get("subtotal_price")) or Money.zero,
            discount=_money(raw.get("total_discounts")) or Money.zero,
            shipping=_payload_shipping(raw),
            tax=_money(raw.get("total_tax")) or Money.zero,
            total=_payload_total(raw),
            to_collect=words.to_collect(standing),
            taxes_included=bool(raw.get("taxes_included", True)),
            ship_to=ship_to,
            bill_to=bill_to,
            buyer_gstin=words.gstin(_pairs(raw.get("note_attributes"), "name")),
            lines=tuple(_payload_line(item) for item in items if _left(item, "current_quantity")),
            weight_grams=_positive(raw.get("total_weight")),
            note=raw.get("note") or "",
            tags=_split_tags(raw.get("tags")),
            test=bool(raw.get("test")),
            pii_withheld=standing.ships and _anonymous(ship_to),
            attributes=_attributes(raw, standing, "source_name", "cancel_reason", None),
        )


def payload_standing(raw: Json) -> Standing:
    """How a webhook's order stands. `outstanding` is None where the payload is too old to say what is still owed."""
    items = objects(raw.get("line_items"))
    financial = _upper(raw.get("financial_status"))
    outstanding = _money(raw.get("total_outstanding"))
    if outstanding is None and financial != "PARTIALLY_PAID":
        outstanding = _payload_total(raw) if financial in (None, "PENDING") else Money.zero
    gateways = [*entries(raw.get("payment_gateway_names")), raw.get("gateway") or ""]
    return Standing(
        cancelled=raw.get("cancelled_at") is not None,
        financial=financial,
        fulfilment=_upper(raw.get("fulfillment_status")),
        gateways=tuple(name for name in gateways if name),
        outstanding=outstanding,
        ships=not items or any(item.get("requires_shipping", True) is not False for item in items),
        lines_left=any(_left(item, "current_quantity") for item in items),
        delivered=_all_say(objects(raw.get("fulfillments")), "shipment_status", "DELIVERED"),
    )


def listing(raw: Json) -> Listing:
    """A `ProductVariant` as `Variants` reads it. `stock_id` is its inventory item, where Shopify keeps the stock."""
    with reading("variant", raw):
        product, item = obj(raw["product"]), obj(raw.get("inventoryItem"))
        variant = _variant_name(raw.get("title"))
        return Listing(
            external_variant_id=tail(raw["id"]),
            external_product_id=tail(product["id"]),
            sku=(raw.get("sku") or "").strip() or None,
            title=f"{product['title']} - {variant}" if variant else product["title"],
            price=_money(raw.get("price")),
            barcode=(raw.get("barcode") or "").strip() or None,
            hsn=_hsn(item),
            weight_grams=_weight(item),
            stock_id=tail(item["id"]) if item.get("id") else None,
        )


# --- lines ------------------------------------------------------------------------------------------------------


def _line(item: Json) -> IncomingLine:
    quantity, ordered = _left(item, "currentQuantity"), item["quantity"]
    variant = obj(item.get("variant"))
    stock = obj(variant.get("inventoryItem"))
    listed = _required(_set(item, "originalUnitPriceSet"), "originalUnitPriceSet")
    net = _set(item, "discountedUnitPriceAfterAllDiscountsSet")
    taxes = objects(item.get("taxLines"))
    tax = Money.total(_set(line, "priceSet") or Money.zero for line in taxes)
    to_ship = item.get("unfulfilledQuantity")
    return IncomingLine(
        external_id=tail(item["id"]),
        sku=(item.get("sku") or variant.get("sku") or "").strip() or None,
        name=item["title"],
        variant=_variant_name(item.get("variantTitle")),
        quantity=quantity,
        to_ship=None if to_ship is None else min(to_ship, quantity),
        unit_price=listed,
        discount=Money.zero if net is None else (listed - net) * quantity,
        tax=_part(tax, quantity, ordered),
        tax_rate_bp=_rate(taxes),
        hsn=_hsn(stock),
        weight_grams=_weight(stock),
        requires_shipping=item.get("requiresShipping", True) is not False,
        external_product_id=tail(item["product"]["id"]) if item.get("product") else None,
        external_variant_id=tail(variant["id"]) if variant else None,
    )


def _payload_line(item: Json) -> IncomingLine:
    quantity, ordered = _left(item, "current_quantity"), item["quantity"]
    taxes = objects(item.get("tax_lines"))
    allocations = objects(item.get("discount_allocations"))
    discount = Money.total(_money(part.get("amount")) or Money.zero for part in allocations)
    tax = Money.total(_money(line.get("price")) or Money.zero for line in taxes)
    return IncomingLine(
        external_id=str(item["id"]),
        sku=(item.get("sku") or "").strip() or None,
        name=item.get("title") or item["name"],
        variant=_variant_name(item.get("variant_title")),
        quantity=quantity,
        to_ship=_payload_to_ship(item, quantity),
        unit_price=_required(_money(item["price"]), "price"),
        # `total_discount` knows the line's own discounts only; the allocations hold its share of the order's too.
        discount=_part(discount or _money(item.get("total_discount")) or Money.zero, quantity, ordered),
        tax=_part(tax, quantity, ordered),
        tax_rate_bp=_rate(taxes),
        weight_grams=_positive(item.get("grams")),
        requires_shipping=item.get("requires_shipping", True) is not False,
        external_product_id=str(item["product_id"]) if item.get("product_id") else None,
        external_variant_id=str(item["variant_id"]) if item.get("variant_id") else None,
    )


def _payload_to_ship(item: Json, quantity: int) -> int | None:
    if item.get("fulfillable_quantity") is not None:
        return min(item["fulfillable_quantity"], quantity)
    return 0 if item.get("fulfillment_status") == "fulfilled" else None


def _left(item: Json, current: str) -> int:
    """Units still wanted after edits and refunds; what was ordered, where the payload is too old to know."""
    units = item.get(current)
    return item["quantity"] if units is None else units


def _part(whole: Money, quantity: int, ordered: int) -> Money:
    """The share of a line's amount that belongs to the units still wanted (Shopify states it for all ordered)."""
    return whole if quantity >= ordered else whole.split([quantity, ordered - quantity])[0]


def _rate(taxes: Iterable[Json]) -> int | None:
    """Basis points; CGST and SGST are two lines of one rate."""
    rates = [Decimal(str(line["rate"])) for line in taxes if line.get("rate") is not None]
    return int((sum(rates, Decimal(0)) * 10_000).to_integral_value(ROUND_HALF_UP)) if rates else None


def _hsn(item: Json) -> str | None:
    code = "".join(c for c in str(item.get("harmonizedSystemCode") or "") if c.isdigit())
    return code if 4 <= len(code) <= 8 else None


def _weight(item: Json) -> int | None:
    weight = obj(obj(item.get("measurement")).get("weight"))
    unit = _GRAMS.get(weight.get("unit") or "")
    if unit is None or weight.get("value") is None:
        return None
    return _positive((Decimal(str(weight["value"])) * unit).to_integral_value(ROUND_HALF_UP))


def _variant_name(title: str | None) -> str | None:
    return title if title and title != _NO_VARIANT else None


# --- addresses --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Contact:
    """What the order itself says of the buyer, for where the address does not."""

    name: str
    phones: tuple[str | None, ...]
    email: str | None


def _addresses(shipping: Json, billing: Json, contact: _Contact, ships: bool) -> tuple[Address | None, Address | None]:
    shipping, billing = obj(shipping), obj(billing)
    # A buyer who ships to the billing address may leave the shipping one blank.
    to = billing if ships and _blank(shipping) else shipping
    phone = _phone(to.get("phone"), *contact.phones, billing.get("phone"))
    return (
        None if _blank(to) else _address(to, contact, phone),
        None if _blank(billing) else _address(billing, contact, _phone(billing.get("phone"), *contact.phones)),
    )


def _blank(address: Mapping[str, Json]) -> bool:
    return not any(address.get(field) for field in ("address1", "city", "zip"))


def _address(raw: Mapping[str, Json], contact: _Contact, phone: str | None) -> Address:
    own = " ".join(filter(None, (raw.get("firstName"), raw.get("lastName"))))
    return Address(
        name=raw.get("name") or own or contact.name,
        phone=phone,
        email=contact.email or None,
        company=raw.get("company") or None,
        line1=raw.get("address1") or "",
        line2=raw.get("address2") or "",
        city=raw.get("city") or "",
        state=words.province(raw.get("province"), raw.get("provinceCode")),
        pincode=_pincode(raw.get("zip") or ""),
        country=_country(raw),
    )


def _phone(*candidates: str | None) -> str | None:
    """The first that is an Indian mobile (couriers refuse a parcel without one), else the first at all."""
    given = [phone.strip() for phone in candidates if phone and phone.strip()]
    return next((phone for phone in given if indian_mobile(phone)), given[0] if given else None)


def _pincode(typed: str) -> str:
    """`560 038` → `560038`; a foreign code stays as it is."""
    digits = typed.replace(" ", "").replace("-", "")
    return digits if len(digits) == 6 and digits.isascii() and digits.isdigit() else typed.strip()


def _country(raw: Mapping[str, Json]) -> str:
    code = (raw.get("countryCodeV2") or "").upper()
    if code:
        return code
    name = (raw.get("country") or "India").strip().lower()
    return "IN" if name in ("india", "bharat", "in") else _NO_COUNTRY


def _anonymous(address: Address | None) -> bool:
    """An address reduced to its town: what is left of it when Shopify keeps personal data from an app."""
    return address is not None and not (address.line1 or address.name or address.phone)


def _like_graphql(address: Json) -> Json:
    """A webhook's address under GraphQL's names."""
    if not address:
        return None
    renamed = {
        "first_name": "firstName",
        "last_name": "lastName",
        "province_code": "provinceCode",
        "country_code": "countryCodeV2",
    }
    return {renamed.get(field, field): value for field, value in address.items()}


# --- the rest ---------------------------------------------------------------------------------------------------


def _gateways(raw: Json) -> tuple[str, ...]:
    """Names of the order's payments: its gateways, and the manual ones among its transactions."""
    manual = [t for t in objects(raw.get("transactions")) if t.get("manualPaymentGateway")]
    names = [
        *entries(raw.get("paymentGatewayNames")),
        *(t.get("gateway") for t in manual),
        *(t.get("formattedGateway") for t in manual),
    ]
    return tuple(dict.fromkeys(name for name in names if name))


def _hold_reasons(assigned: Iterable[Json]) -> tuple[str, ...]:
    reasons = [hold["reason"].lower() for fo in assigned for hold in objects(fo.get("fulfillmentHolds"))]
    elsewhere = ["with_fulfilment_service" for fo in assigned if fo.get("requestStatus") in words.AT_ANOTHER_SERVICE]
    return tuple(dict.fromkeys(reasons + elsewhere))


def _all_say(fulfilments: Iterable[Json], field: str, word: str) -> bool:
    counted = [f for f in fulfilments if _upper(f.get("status")) not in words.FULFILMENT_GONE]
    return bool(counted) and all(_upper(f.get(field)) == word for f in counted)


def _attributes(raw: Json, standing: Standing, source: str, cancel: str, returned: str | None) -> dict[str, str]:
    """Shopify's own words, kept for people and for counting the unknown ones. No personal data."""
    kept: dict[str, str | None] = {
        "financial_status": standing.financial,
        "fulfillment_status": standing.fulfilment,
        "source_name": raw.get(source),
        "cancel_reason": raw.get(cancel),
        "return_status": raw.get(returned) if returned else None,
        "gateways": ", ".join(standing.gateways),
    }
    return {name: str(value) for name, value in kept.items() if value}


def _payload_total(raw: Json) -> Money:
    current = _money(raw.get("current_total_price"))
    return current if current is not None else _required(_money(raw["total_price"]), "total_price")


def _payload_shipping(raw: Json) -> Money:
    stated = obj(obj(raw.get("total_shipping_price_set")).get("shop_money")).get("amount")
    if stated is not None:
        return _required(_money(stated), "shipping")
    return Money.total(_money(line.get("price")) or Money.zero for line in objects(raw.get("shipping_lines")))


def _split_tags(tags: Json) -> tuple[str, ...]:
    return tuple(tag.strip() for tag in (tags or "").split(",") if tag.strip())


def _pairs(attributes: Json, name: str) -> list[tuple[str, str]]:
    return [(str(pair.get(name) or ""), str(pair.get("value") or "")) for pair in objects(attributes)]


def _set(raw: Json, field: str) -> Money | None:
    """The shop-currency amount of a `MoneyBag`."""
    bag = raw.get(field)
    return None if bag is None else _money(bag["shopMoney"]["amount"])


def _money(amount: Json) -> Money | None:
    return None if amount is None else Money.rupees(amount)


def _required(amount: Money | None, field: str) -> Money:
    if amount is None:
        raise Malformed(f"{field} is missing")
    return amount


def _positive(number: Json) -> int | None:
    return int(number) if number is not None and int(number) > 0 else None


def _upper(word: str | None) -> str | None:
    return word.upper() if word else None


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise Malformed("a time without its zone")
    return moment.astimezone(UTC)
