"""Flipkart's words for a shipment, turned into ours. Pure: no network, no database, no clock.

One order of ours is one shipment of theirs: a customer's checkout may be packed as several, at several places, and
each has its own label. They share the order's number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from shipcrowd.channels.contract import Listing
from shipcrowd.integrations.flipkart import words
from shipcrowd.integrations.flipkart.reading import (
    decimal,
    first,
    moment,
    obj,
    objects,
    plain,
    reading,
    text,
    units,
    unmasked,
)
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Json, Malformed
from shipcrowd.orders.schemas import Fulfilment, IncomingLine, IncomingOrder, Payment, SourceState
from shipcrowd.pincodes.address import Address


@dataclass(frozen=True)
class Item:
    """One order item of a shipment: what is still wanted of it, and its prices for all of that together."""

    id: str
    status: str
    live: int
    cancelled: int
    selling: Money
    shipping: Money
    discount: Money
    pays: Money
    cod: bool
    raw: Mapping[str, Json]


@dataclass(frozen=True)
class Standing:
    """How a shipment stands, for those who are to act on it."""

    id: str
    location: str
    status: str  # of the live item that is least far; CANCELLED without a live one
    hold: bool
    self_ship: bool
    fulfilment: Fulfilment
    items: tuple[Item, ...]
    coming_back: bool
    raw: Mapping[str, Json]

    @property
    def step(self) -> int | None:
        """How far it is; None where Flipkart's word is unknown to us, or all of it was cancelled."""
        return words.STEPS.get(self.status)


def standing(shipment: Json) -> Standing:
    """Raises Malformed."""
    raw = obj(shipment)
    with reading("shipment", raw):
        items = _items(raw)
        live = [item for item in items if item.live]
        profiles = {text(item.raw.get("serviceProfile")) for item in items}
        kind = text(raw.get("shipmentType"))
        return Standing(
            id=_id(raw),
            location=text(raw.get("locationId")),
            status=_least(live) if live else "CANCELLED",
            hold=raw.get("hold") is True or text(raw.get("hold")).lower() == "true",
            self_ship=kind.upper() == "SELF",
            fulfilment=words.fulfilment(kind, profiles),
            items=tuple(items),
            coming_back=any(item.raw.get("courierReturn") for item in live),
            raw=raw,
        )


def incoming_order(shipment: Json, details: Json = None) -> IncomingOrder:
    """A shipment, with what the details call says of it, as an order. Raises Malformed.

    Amounts are those of what is still wanted; a wholly cancelled shipment keeps the amounts it had. Without `details`
    the buyer is withheld.
    """
    raw, known = obj(shipment), obj(details)
    with reading("shipment", raw):
        how = standing(raw)
        counted = [item for item in how.items if item.live] or how.items
        cod = any(item.cod for item in counted)
        wanted = any(item.live for item in how.items)
        dated = [at for item in how.items if (at := moment(item.raw.get("orderDate")))]
        placed = min(dated) if dated else moment(raw["dispatchAfterDate"])
        if placed is None:
            raise Malformed("no date")
        address, withheld = _address(known, how)
        bill_to = _read_address(obj(known.get("billingAddress")), obj(known.get("buyerDetails")), phone=how.self_ship)
        return IncomingOrder(
            external_id=how.id,
            number=text(how.items[0].raw.get("orderId")) or how.id,
            placed_at=placed,
            source_updated_at=moment(raw.get("updatedAt")) or placed,
            state=state(how),
            payment=Payment.cod if cod else Payment.prepaid,
            subtotal=Money.total(item.selling for item in counted),
            discount=Money.total(item.discount for item in counted),
            shipping=Money.total(item.shipping for item in counted),
            total=Money.total(item.pays for item in counted),
            to_collect=Money.total(item.pays for item in counted if item.cod) if wanted else Money.zero,
            taxes_included=True,
            ship_to=address,
            bill_to=bill_to if how.self_ship else None,
            lines=tuple(_line(item) for item in how.items),
            weight_grams=_weight(raw),
            fulfilment=how.fulfilment,
            ship_by=moment(raw.get("dispatchByDate")),
            hold_reasons=("on hold at Flipkart",) if state(how) is SourceState.on_hold else (),
            tags=_tags(how),
            pii_withheld=withheld,
            attributes=_attributes(raw, how),
        )


def state(how: Standing) -> SourceState:
    """How far the order is. What must not ship (held, or in a state unknown to us) never comes out as open."""
    if how.status in words.CANCELLED:
        return SourceState.cancelled
    known = words.STATES.get(how.status)
    if known is None or any(item.live and _strange(item) for item in how.items):
        return SourceState.attention
    if how.coming_back and known is SourceState.delivered:
        return SourceState.shipped
    if how.hold and words.STEPS[how.status] < words.HELD_BEFORE:
        return SourceState.on_hold
    return known


def _strange(item: Item) -> bool:
    """Whether a word that decides what is done with the item is none we know."""
    return item.status not in words.STEPS or text(item.raw.get("paymentType")).upper() not in words.PAYMENTS


def courier_of(details: Json) -> tuple[str, str] | None:
    """(AWB, carrier) of the leg to the buyer, once there is one: on the shipment or inside its sub-shipments."""
    raw = obj(details)
    for holder in (raw, *objects(raw.get("subShipments"))):
        courier = obj(holder.get("courierDetails"))
        for leg in (obj(courier.get("deliveryDetails")), obj(courier.get("pickupDetails"))):
            if awb := text(leg.get("trackingId")):
                return awb, text(leg.get("vendorName")) or "Flipkart"
    return None


def size(raw: Json) -> tuple[Decimal, Decimal, Decimal, Decimal] | None:
    """(length, breadth, height in cm, weight in kg) of a shipment's only package; None with more, or none known."""
    packages = _packages(obj(raw))
    if len(packages) != 1:
        return None
    measured = obj(packages[0].get("dimensions"))
    found = [decimal(measured.get(name)) for name in ("length", "breadth", "height", "weight")]
    known = [number for number in found if number is not None and number > 0]
    return (known[0], known[1], known[2], known[3]) if len(known) == 4 else None


def listing(raw: Json) -> Listing:
    """A listing as search or read shows it. Flipkart names no title there: the SKU is what the seller knows it by."""
    found = obj(raw)
    with reading("listing", found):
        sku, product = plain(first(found, "sku_id", "sku")), plain(found["product_id"])
        if not sku or not product:
            raise Malformed("a listing without its SKU or product")
        price = obj(found.get("price"))
        amount = first(price, "selling_price", "flipkart_selling_price")
        return Listing(
            external_variant_id=variant(product, sku),
            external_product_id=product,
            sku=sku,
            title=sku,
            price=None if amount is None else Money.rupees(amount),
            hsn=_hsn(obj(found.get("tax")).get("hsn")),
            stock_id=text(found.get("listing_id")) or None,
        )


def stock(raw: Json) -> Mapping[str, int] | None:
    """Location → units on sale; None where Flipkart does not say, which is not the same as none."""
    found = obj(raw)
    if "locations" not in found or found["locations"] is None:
        return None
    with reading("listing", found):
        return {
            text(place["id"]): units(place["inventory"])
            for place in objects(found["locations"])
            if place.get("inventory") is not None
        }


def variant(product: str, sku: str) -> str:
    """What setting stock or a price needs of a listing, as one id: `FSN:SKU`."""
    return f"{product}:{sku}"


def split_variant(external_variant_id: str) -> tuple[str, str] | None:
    """(product, SKU) of `variant`; None for anything else."""
    product, colon, sku = external_variant_id.partition(":")
    return (product, sku) if colon and product and sku else None


# --- items --------------------------------------------------------------------------------------------------------


def _id(raw: Mapping[str, Json]) -> str:
    found = text(raw["shipmentId"])
    if not found:
        raise Malformed("a shipment without its id")
    return found


def _items(raw: Mapping[str, Json]) -> list[Item]:
    """The items of a shipment. One that was cancelled in part stands there twice, with its units shared out."""
    parts: dict[str, list[dict[str, Json]]] = {}
    for entry in objects(raw["orderItems"]):
        parts.setdefault(text(entry["orderItemId"]), []).append(entry)
    if not parts:
        raise Malformed("a shipment without items")
    return [_item(item, entries) for item, entries in parts.items()]


def _item(item: str, entries: Sequence[dict[str, Json]]) -> Item:
    live = [entry for entry in entries if _status(entry) not in words.CANCELLED and units(entry["quantity"])]
    counted = live or entries
    amounts = [_amounts(entry) for entry in counted]
    selling, shipping, discount, pays = (Money.total(column) for column in zip(*amounts, strict=True))
    statuses = [_status(entry) for entry in counted]
    return Item(
        id=item,
        status=min(statuses, key=_rank),
        live=sum(units(entry["quantity"]) for entry in live),
        cancelled=sum(units(entry["quantity"]) for entry in entries if entry not in live),
        selling=selling,
        shipping=shipping,
        discount=discount,
        pays=pays,
        cod=any(text(entry.get("paymentType")).upper() == "COD" for entry in counted),
        raw=counted[0],
    )


def _status(entry: Mapping[str, Json]) -> str:
    return text(entry["status"]).upper()


def _rank(status: str) -> int:
    return words.STEPS.get(status, -1)  # one we do not know is looked at first


def _least(live: Sequence[Item]) -> str:
    return min((item.status for item in live), key=_rank)


def _amounts(entry: Mapping[str, Json]) -> tuple[Money, Money, Money, Money]:
    """Goods, shipping, what Flipkart takes off, and what the buyer pays, of the whole line. Only the last two may be
    missing: then they follow from the others."""
    price = obj(entry["priceComponents"])
    selling, shipping = Money.rupees(price["sellingPrice"]), _money(price.get("shippingCharge"))
    discount = _money(price.get("flipkartDiscount"))
    total = price.get("totalPrice")
    whole = selling + shipping if total is None else Money.rupees(total)
    pays = price.get("customerPrice")
    return selling, shipping, discount, whole - discount if pays is None else Money.rupees(pays)


def _money(amount: Json) -> Money:
    return Money.zero if amount is None else Money.rupees(amount)


def _line(item: Item) -> IncomingLine:
    # Flipkart's prices are for the line. The price of one is rounded up and what that adds is taken off again, so that
    # the line adds up to the paisa.
    quantity = item.live or item.cancelled
    each = Money(-(-item.selling.paise // quantity)) if quantity else item.selling
    too_much = each * quantity - item.selling
    sku, product = plain(item.raw.get("sku")), plain(item.raw.get("fsn"))
    gone = words.STEPS.get(item.status, 0) >= words.STEPS["PICKUP_COMPLETE"]
    return IncomingLine(
        external_id=item.id,
        sku=sku or None,
        name=text(item.raw.get("title")) or sku or product or item.id,
        quantity=item.live,
        to_ship=0 if gone else None,
        unit_price=each,
        discount=too_much + item.discount if item.live else Money.zero,
        hsn=_hsn(item.raw.get("hsn")),
        external_product_id=product or None,
        external_variant_id=variant(product, sku) if product and sku else None,
    )


def _hsn(value: Json) -> str | None:
    code = text(value)
    return code if code.isascii() and code.isdigit() and 4 <= len(code) <= 8 else None


# --- the parcel and the buyer ---------------------------------------------------------------------------------------


def _packages(raw: Mapping[str, Json]) -> list[dict[str, Json]]:
    return [package for sub in objects(raw.get("subShipments")) for package in objects(sub.get("packages"))]


def _weight(raw: Mapping[str, Json]) -> int | None:
    """Grams of all packages; None unless each has a weight."""
    found = [decimal(obj(package.get("dimensions")).get("weight")) for package in _packages(raw)]
    known = [kilos for kilos in found if kilos is not None and kilos > 0]
    if not found or len(known) != len(found):
        return None
    return int((sum(known, Decimal(0)) * 1000).to_integral_value(ROUND_HALF_UP))


def _address(details: Mapping[str, Json], how: Standing) -> tuple[Address | None, bool]:
    """Where the parcel goes, and whether Flipkart keeps part of that from us. The phone is shown for self-ship only;
    for the rest it is on Flipkart's label, and nothing is put in its place."""
    raw = obj(details.get("deliveryAddress"))
    found = _read_address(raw, obj(details.get("buyerDetails")), phone=how.self_ship)
    return found, found is None or not found.line1 or not found.name


def _read_address(raw: Mapping[str, Json], buyer: Mapping[str, Json], *, phone: bool) -> Address | None:
    if not raw:
        return None
    own = _name(raw) or _name(buyer)
    street = [unmasked(raw.get(field)) for field in ("addressLine2", "landmark")]
    number = unmasked(first(raw, "contactNumber", "phone"))
    return Address(
        name=own,
        phone=number if phone and number else None,
        line1=unmasked(raw.get("addressLine1")),
        line2=", ".join(part for part in street if part),
        city=unmasked(raw.get("city")),
        state=unmasked(first(raw, "state")) or text(raw.get("stateCode")).removeprefix("IN-"),
        pincode=unmasked(first(raw, "pinCode", "pincode")).replace(" ", ""),
    )


def _name(raw: Mapping[str, Json]) -> str:
    return " ".join(part for part in (unmasked(raw.get("firstName")), unmasked(raw.get("lastName"))) if part)


# --- the rest -------------------------------------------------------------------------------------------------------


def _tags(how: Standing) -> tuple[str, ...]:
    """What a person wants to filter by."""
    replaces = any(first(item.raw, "is_replacement", "isReplacement") for item in how.items)
    found = {
        "self-ship": how.self_ship,
        "express": text(how.raw.get("shipmentType")).upper() == "EXPRESS",
        "forms-failed": how.status == "FORM_FAILED",
        "replacement": replaces,
        "rto": how.coming_back,
        "partly-cancelled": any(item.cancelled for item in how.items) and any(item.live for item in how.items),
    }
    return tuple(tag for tag, holds in found.items() if holds)


def _attributes(raw: Mapping[str, Json], how: Standing) -> dict[str, str]:
    """Flipkart's own words, kept for people and for counting the unknown ones. No personal data."""
    kept = {
        "order_id": text(how.items[0].raw.get("orderId")),
        "location": how.location,
        "status": ", ".join(dict.fromkeys(item.status for item in how.items)),
        "shipment_type": text(raw.get("shipmentType")),
        "service_profile": ", ".join(dict.fromkeys(text(item.raw.get("serviceProfile")) for item in how.items)),
        "payment_type": ", ".join(dict.fromkeys(text(item.raw.get("paymentType")) for item in how.items)),
        "dispatch_after": text(raw.get("dispatchAfterDate")),
        "cancellation_reason": text(how.items[0].raw.get("cancellationReason")),
    }
    return {name: word for name, word in kept.items() if word}
