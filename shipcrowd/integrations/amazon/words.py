"""Amazon's words for an order, as tables. What is not in them is kept raw, counted, and moves nothing.

Source: orders 2026-01-01; the tolerance is on purpose, for Amazon adds values without a new version.
"""

from collections.abc import Iterator, Mapping

import structlog
from prometheus_client import Counter

from shipcrowd.orders.schemas import Fulfilment, IncomingOrder, SourceState

log = structlog.get_logger(__name__)

UNKNOWN = Counter(
    "shipcrowd_amazon_unknown_words_total", "Enum values of Amazon's this version does not know", ["field"]
)

STATES: Mapping[str, SourceState] = {
    "PENDING_AVAILABILITY": SourceState.payment_pending,
    "PENDING": SourceState.payment_pending,
    "UNSHIPPED": SourceState.open,
    "PARTIALLY_SHIPPED": SourceState.partially_shipped,
    "SHIPPED": SourceState.shipped,
    "CANCELLED": SourceState.cancelled,
    "CANCELED": SourceState.cancelled,  # how the older version spells it
    "UNFULFILLABLE": SourceState.attention,
}
"""Fulfilment status → ours. A pending order may change or vanish: it is not booked."""

FULFILLED_BY: Mapping[str, Fulfilment] = {
    "MERCHANT": Fulfilment.seller,
    "AMAZON": Fulfilment.marketplace_warehouse,
}

AMAZON_CARRIES = frozenset({"AMAZON_EASY_SHIP", "DELIVERY_BY_AMAZON"})
"""Programs in which the seller packs and Amazon's courier carries."""

PROGRAMS: Mapping[str, str] = {
    "AMAZON_BAZAAR": "Amazon Bazaar",
    "AMAZON_BUSINESS": "Amazon Business",
    "AMAZON_EASY_SHIP": "Easy Ship",
    "AMAZON_HAUL": "Amazon Haul",
    "DELIVERY_BY_AMAZON": "Delivery by Amazon",
    "FBM_SHIP_PLUS": "Ship Plus",
    "INVOICE_BY_AMAZON": "Invoice by Amazon",
    "IN_STORE_PICK_UP": "In-store pickup",
    "PREMIUM": "Premium",
    "PREORDER": "Pre-order",
    "PRIME": "Prime",
}
"""Programs of an order → its tags."""

SERVICES = frozenset(
    {"STANDARD", "EXPEDITED", "NEXT_DAY", "SAME_DAY", "SECOND_DAY", "SCHEDULED", "PRIORITY", "FREE_ECONOMY"}
)

CANCEL_REASONS: Mapping[str, str] = {
    "no_inventory": "NO_INVENTORY",
    "out_of_stock": "NO_INVENTORY",
    "inventory": "NO_INVENTORY",
    "buyer": "BUYER_CANCELLED",
    "customer": "BUYER_CANCELLED",
    "address": "SHIPPING_ADDRESS_UNDELIVERABLE",
    "undeliverable": "SHIPPING_ADDRESS_UNDELIVERABLE",
    "exchange": "CUSTOMER_EXCHANGE",
    "price": "PRICING_ERROR",
    "pricing": "PRICING_ERROR",
}
"""Part of our reason → Amazon's code."""

FEED_CANCEL_REASONS: Mapping[str, str] = {
    "NO_INVENTORY": "NoInventory",
    "BUYER_CANCELLED": "BuyerCanceled",
    "SHIPPING_ADDRESS_UNDELIVERABLE": "ShippingAddressUndeliverable",
    "CUSTOMER_EXCHANGE": "CustomerExchange",
    "PRICING_ERROR": "PricingError",
}
"""Amazon's code → how its XML feed spells it."""

CARRIERS: Mapping[str, str] = {
    "bluedart": "BlueDart",
    "delhivery": "Delhivery",
    "dtdc": "DTDC",
    "indiapost": "India Post",
    "fedex": "FedEx",
    "dhl": "DHL",
    "aramex": "Aramex",
    "firstflight": "First Flight",
    "professional": "Professional",
    "overnite": "Overnite Express",
}
"""How a carrier's name begins, letters alone → Amazon's carrier code in India; every other carrier is `Other`."""

OTHER_CARRIER = "Other"


def cash_on_delivery(method: str) -> bool:
    return "".join(letter for letter in method.lower() if letter.isalpha()) in ("cashondelivery", "cod")


def carrier(name: str) -> tuple[str, str | None]:
    """A carrier's name, as our courier says it → Amazon's code, and the name where the code is `Other`."""
    letters = "".join(letter for letter in name.lower() if letter.isalpha())
    for begins, code in CARRIERS.items():
        if letters.startswith(begins):
            return code, None
    return OTHER_CARRIER, name.strip() or "Courier"


def cancel_reason(reason: str) -> str:
    """Our reason → one of Amazon's codes; what fits none is a lack of stock."""
    said = reason.lower()
    return next((code for part, code in CANCEL_REASONS.items() if part in said), "NO_INVENTORY")


def unknown_words(order: IncomingOrder) -> Iterator[tuple[str, str]]:
    """The words of this order that are in no table: (field, word)."""
    known = {"fulfillment_status": STATES, "fulfilled_by": FULFILLED_BY, "service_level": SERVICES}
    for field, words in known.items():
        word = order.attributes.get(field)
        if word and word not in words:
            yield field, word
    for program in order.attributes.get("programs", "").split():
        if program not in PROGRAMS:
            yield "program", program


def notice(order: IncomingOrder) -> IncomingOrder:
    """Count the words in this order that we do not know; the order itself goes on unchanged."""
    for field, word in unknown_words(order):
        UNKNOWN.labels(field).inc()
        log.warning("amazon_unknown_word", field=field, word=word[:60], order=order.external_id)
    return order
