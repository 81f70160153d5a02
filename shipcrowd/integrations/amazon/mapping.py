"""Amazon's order (2026-01-01), turned into ours. Pure: no network, no database, no clock.

Every part but the ids may be missing: a pending order has no amounts, an application without the role sees no buyer.
What cannot be read raises Malformed. Source: the official model; "cash on delivery" is seen in three places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shipcrowd.integrations.amazon import words
from shipcrowd.integrations.amazon.raw import entries, obj, objects, reading, shown, text, within
from shipcrowd.integrations.amazon.regions import UnknownMarketplace, marketplace
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Json, Malformed
from shipcrowd.orders.schemas import Fulfilment, IncomingLine, IncomingOrder, Payment, SourceState
from shipcrowd.pincodes.address import Address

_NO_COUNTRY = "ZZ"  # ISO 3166's user-assigned "unknown"
_MOVING = frozenset({SourceState.open, SourceState.partially_shipped, SourceState.shipped})


def incoming_order(raw: Json) -> IncomingOrder:
    """An order as `searchOrders` and `getOrder` give it. Raises Malformed."""
    with reading("order", raw):
        fulfilment = within(raw, "fulfillment")
        programs = [text(program) for program in entries(raw.get("programs"))]
        items = objects(raw["orderItems"])
        state = _state(raw, fulfilment, programs)
        currency = _currency(raw, items)
        lines = tuple(_line(item, state) for item in items)
        stated = _money(within(raw, "proceeds").get("grandTotal"), currency)
        total = stated if stated is not None else _total(items, lines, currency)
        paid = _paid(raw, items, total if stated is not None or total else None, currency)
        ship_to, withheld = _ship_to(raw)
        return IncomingOrder(
            external_id=text(raw["orderId"]) or _nameless(raw),
            number=text(raw["orderId"]),
            placed_at=_time(raw["createdTime"]),
            source_updated_at=_time(raw["lastUpdatedTime"]),
            state=state,
            payment=paid.payment,
            currency=currency,
            subtotal=Money.total(line.unit_price * line.quantity for line in lines),
            discount=_breakdown(items, "DISCOUNT", currency),
            shipping=_breakdown(items, "SHIPPING", currency),
            tax=Money.total(line.tax for line in lines),
            total=total,
            to_collect=paid.to_collect,
            taxes_included=True,  # Indian prices on Amazon hold their GST
            ship_to=ship_to,
            buyer_gstin=_gstin(raw),
            lines=lines,
            fulfilment=_fulfilment(fulfilment, programs),
            ship_by=_maybe_time(within(fulfilment, "shipByWindow").get("latestDateTime")),
            tags=tuple(words.PROGRAMS.get(program, program) for program in programs),
            hold_reasons=tuple(dict.fromkeys([*_asked_to_cancel(items, state), *_unclear(fulfilment), *paid.unclear])),
            pii_withheld=withheld,
            # Amazon shows numbers until the last day of delivery, and for orders of its own warehouse not at all.
            phone_withheld=not withheld and ship_to is not None and not ship_to.phone,
            attributes=_attributes(raw, fulfilment, programs),
        )


def order_id(raw: Json) -> str:
    """The id of a record that may be of any shape; empty when there is none."""
    try:
        return text(obj(raw).get("orderId"))
    except Malformed:
        return ""


def _nameless(raw: Json) -> str:
    raise Malformed("an order without an id", shown(raw))


# --- state ----------------------------------------------------------------------------------------------------------


def _state(raw: Json, fulfilment: dict[str, Json], programs: Sequence[str]) -> SourceState:
    state = words.STATES.get(text(fulfilment.get("fulfillmentStatus")).upper(), SourceState.attention)
    if state is SourceState.open and "IN_STORE_PICK_UP" in programs:
        return SourceState.nothing_to_ship
    packages = [text(within(package, "packageStatus").get("status")) for package in objects(raw.get("packages"))]
    live = [status for status in packages if status != "CANCELLED"]
    if state is SourceState.shipped and live and all(status == "DELIVERED" for status in live):
        return SourceState.delivered
    return state


def _fulfilment(fulfilment: dict[str, Json], programs: Sequence[str]) -> Fulfilment:
    who = words.FULFILLED_BY.get(text(fulfilment.get("fulfilledBy")), Fulfilment.seller)
    if who is Fulfilment.seller and words.AMAZON_CARRIES.intersection(programs):
        return Fulfilment.marketplace_logistics
    return who


def _unclear(fulfilment: dict[str, Json]) -> list[str]:
    """Who ships decides whether we may: an order of which Amazon does not say it is held."""
    if text(fulfilment.get("fulfilledBy")) in words.FULFILLED_BY:
        return []
    return ["Amazon does not say who ships this order"]


def _asked_to_cancel(items: Sequence[dict[str, Json]], state: SourceState) -> list[str]:
    """A buyer's wish that the seller has not answered yet holds the booking."""
    if state in (SourceState.cancelled, SourceState.shipped, SourceState.delivered):
        return []
    for item in items:
        cancellation = within(item, "cancellation")
        asked = within(cancellation, "cancellationRequest")
        if asked and not within(cancellation, "cancellationExecution"):
            return ["the buyer asks to cancel"]
    return []


# --- money ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Paid:
    payment: Payment
    to_collect: Money = Money.zero
    unclear: tuple[str, ...] = ()


def _paid(raw: Json, items: Sequence[dict[str, Json]], total: Money | None, currency: str) -> _Paid:
    """How it is paid, and what the courier asks the buyer for.

    The payment itself decides where Amazon shows it, the signs on the lines where it does not. When the two
    disagree the booking is held: to ask for money twice, or not at all, is worse than to ask the seller.
    """
    executions = objects(within(raw, "payment").get("paymentExecutions"))
    cash = [each for each in executions if words.cash_on_delivery(text(each.get("paymentMethod")))]
    signs = any(_carries_cash(item, currency) for item in items)
    if not cash and not signs:
        return _Paid(Payment.prepaid)
    if not cash and executions:
        return _Paid(
            Payment.cod, total or Money.zero, ("Amazon does not clearly say whether the buyer pays on delivery",)
        )
    amounts = [amount for each in cash if (amount := _money(each.get("paymentAmount"), currency)) is not None]
    if cash and len(amounts) == len(cash):
        return _Paid(Payment.cod, Money.total(amounts))
    if total is None:
        return _Paid(Payment.cod, unclear=("Amazon does not say how much the buyer pays on delivery",))
    others = [each for each in executions if each not in cash]
    paid = Money.total(_money(each.get("paymentAmount"), currency) or Money.zero for each in others)
    return _Paid(Payment.cod, max(total - paid, Money.zero))


def _carries_cash(item: dict[str, Json], currency: str) -> bool:
    constraints = within(item, "fulfillment", "shipping", "shippingConstraints")
    if text(constraints.get("cashOnDelivery")) == "MANDATORY":
        return True
    return bool(_breakdown([item], "COD_FEE", currency))


def _currency(raw: Json, items: Sequence[dict[str, Json]]) -> str:
    stated = [within(raw, "proceeds", "grandTotal").get("currencyCode")]
    for item in items:
        stated.append(within(item, "product", "price", "unitPrice").get("currencyCode"))
        stated.append(within(item, "proceeds", "proceedsTotal").get("currencyCode"))
    found = next((text(code) for code in stated if code), "")
    if found:
        return found
    try:
        return marketplace(text(within(raw, "salesChannel").get("marketplaceId"))).currency
    except UnknownMarketplace:
        return "XXX"  # ISO 4217's "no currency": shown, and never booked


def _total(items: Sequence[dict[str, Json]], lines: Sequence[IncomingLine], currency: str) -> Money:
    """What the lines add up to, for an order without a total of its own."""
    return Money.total(
        stated
        if (stated := _money(within(item, "proceeds").get("proceedsTotal"), currency)) is not None
        else line.unit_price * line.quantity
        for item, line in zip(items, lines, strict=True)
    )


def _breakdown(items: Sequence[dict[str, Json]], kind: str, currency: str) -> Money:
    amounts = [
        _money(part.get("subtotal"), currency) or Money.zero
        for item in items
        for part in objects(within(item, "proceeds").get("breakdowns"))
        if text(part.get("type")) == kind
    ]
    return Money(abs(Money.total(amounts).paise))  # a discount is stated as what it takes away


def _money(value: Json, currency: str) -> Money | None:
    """An amount; None where there is none. Raises Malformed for one of another currency than the order's."""
    stated = obj(value)
    if stated.get("amount") is None:
        return None
    if text(stated.get("currencyCode")) not in ("", currency):
        raise Malformed("an order in two currencies")
    return Money.rupees(text(stated["amount"]))


# --- lines ----------------------------------------------------------------------------------------------------------


def _line(item: dict[str, Json], state: SourceState) -> IncomingLine:
    product, fulfilment = within(item, "product"), within(item, "fulfillment")
    ordered = int(item["quantityOrdered"])
    quantity, to_ship = _units(item, ordered, fulfilment, state)
    currency = text(
        within(product, "price", "unitPrice").get("currencyCode")
        or within(item, "proceeds", "proceedsTotal").get("currencyCode")
    )
    unit = _money(within(product, "price").get("unitPrice"), currency)
    if unit is None:
        goods = _breakdown([item], "ITEM", currency)
        unit = goods.split([1] * ordered)[0] if ordered and goods else Money.zero
    sku = text(product.get("sellerSku")) or None
    return IncomingLine(
        external_id=text(item["orderItemId"]),
        sku=sku,
        name=text(product.get("title")) or sku or text(product.get("asin")) or "Item",
        quantity=quantity,
        to_ship=to_ship,
        unit_price=unit,
        discount=_breakdown([item], "DISCOUNT", currency),
        tax=_breakdown([item], "TAX", currency),
        external_product_id=text(product.get("asin")) or None,
        external_variant_id=sku,
    )


def _units(
    item: dict[str, Json], ordered: int, fulfilment: dict[str, Json], state: SourceState
) -> tuple[int, int | None]:
    """Units still wanted, and of those not yet shipped. What was ordered and is neither shipped nor to be shipped was
    cancelled; before an order moves, Amazon counts neither."""
    if state not in _MOVING:
        return ordered, None
    done, left = fulfilment.get("quantityFulfilled"), fulfilment.get("quantityUnfulfilled")
    if done is None and left is None:
        cancelled = within(item, "cancellation", "cancellationExecution")
        return (0, 0) if cancelled else (ordered, 0 if state is SourceState.shipped else None)
    shipped = int(done or 0)
    remaining = int(left) if left is not None else max(ordered - shipped, 0)
    wanted = min(shipped + remaining, ordered)
    return wanted, min(remaining, wanted)


# --- the buyer ------------------------------------------------------------------------------------------------------


def _ship_to(raw: Json) -> tuple[Address | None, bool]:
    """The address, as far as it is shown, and whether the buyer is kept from us."""
    to, buyer = within(raw, "recipient", "deliveryAddress"), within(raw, "buyer")
    name, first = text(to.get("name")) or text(buyer.get("buyerName")), text(to.get("addressLine1"))
    rest = [text(to.get("addressLine2")), text(to.get("addressLine3"))]
    second = ", ".join(filter(None, rest if first else rest[1:]))
    address = Address(
        name=name,
        phone=text(to.get("phone")) or None,
        email=text(buyer.get("buyerEmail")) or None,
        company=text(to.get("companyName")) or text(buyer.get("buyerCompanyName")) or None,
        line1=first or rest[0],
        line2=second,
        city=text(to.get("city")) or text(to.get("municipality")) or text(to.get("districtOrCounty")),
        state=text(to.get("stateOrRegion")),
        pincode=text(to.get("postalCode")),
        country=text(to.get("countryCode")).upper() or (_NO_COUNTRY if to else "IN"),
    )
    withheld = not name or not address.line1
    nothing = not any((name, address.line1, address.city, address.pincode, address.email))
    return (None if nothing else address), withheld


def _gstin(raw: Json) -> str | None:
    """The buyer's GSTIN among the tax registrations: fifteen letters and digits that begin with a state's number."""
    for entry in objects(within(raw, "tax").get("taxRegistrations")):
        number = text(entry.get("taxRegistrationNumber")).upper()
        if len(number) == 15 and number.isalnum() and number[:2].isdigit() and number[13] == "Z":
            return number
    return None


def _attributes(raw: Json, fulfilment: dict[str, Json], programs: Sequence[str]) -> dict[str, str]:
    aliases = objects(raw.get("orderAliases"))
    packages = objects(raw.get("packages"))
    found = {
        "fulfillment_status": text(fulfilment.get("fulfillmentStatus")),
        "fulfilled_by": text(fulfilment.get("fulfilledBy")),
        "service_level": text(fulfilment.get("fulfillmentServiceLevel")),
        "programs": " ".join(programs),
        "marketplace_id": text(within(raw, "salesChannel").get("marketplaceId")),
        "seller_order_id": next(
            (text(alias.get("aliasId")) for alias in aliases if alias.get("aliasType") == "SELLER_ORDER_ID"), ""
        ),
        "fulfillment_order_id": next(
            (text(each.get("fulfillmentOrderId")) for each in objects(raw.get("fulfillmentOrders"))), ""
        ),
        "package_status": " ".join(
            text(within(each, "packageStatus").get("detailedStatus") or within(each, "packageStatus").get("status"))
            for each in packages
        ).strip(),
        "deliver_by": text(within(fulfilment, "deliverByWindow").get("latestDateTime")),
        "payment_methods": " ".join(
            text(each.get("paymentMethod")) for each in objects(within(raw, "payment").get("paymentExecutions"))
        ),
        "purchase_order": text(within(raw, "buyer").get("buyerPurchaseOrderNumber")),
    }
    return {name: value for name, value in found.items() if value}


# --- time -----------------------------------------------------------------------------------------------------------


def _time(value: Json) -> datetime:
    moment = datetime.fromisoformat(text(value))
    if moment.tzinfo is None:
        raise Malformed("a time without a zone")
    return moment.astimezone(UTC)


def _maybe_time(value: Json) -> datetime | None:
    return _time(value) if value else None


def moment(value: Json) -> datetime | None:
    """A time of Amazon's, or None where there is none or it cannot be read."""
    try:
        return _maybe_time(value)
    except (ValueError, Malformed):
        return None
