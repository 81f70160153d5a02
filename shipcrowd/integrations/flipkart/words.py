"""Flipkart's words and our own, as tables. Pure. A word that is not here never raises: it asks for a person's
attention, is kept as it came, and is counted."""

import re
from collections.abc import Mapping

from shipcrowd.couriers.contract import Progress
from shipcrowd.orders.schemas import Fulfilment, SourceState

STEPS: Mapping[str, int] = {
    "APPROVED": 0,
    "PACKING_IN_PROGRESS": 1,
    "FORM_FAILED": 1,
    "PACKED": 2,
    "READY_TO_DISPATCH": 3,
    "PICKUP_COMPLETE": 4,
    "SHIPPED": 5,
    "DELIVERED": 6,
    "COMPLETED": 7,
    "RETURN_REQUESTED": 8,
    "RETURNED": 9,
}
"""How far an order item is. The item that is least far says how far its shipment is."""

CANCELLED = frozenset({"CANCELLED", "CANCELED"})

STATES: Mapping[str, SourceState] = {
    "APPROVED": SourceState.open,
    "PACKING_IN_PROGRESS": SourceState.open,
    "FORM_FAILED": SourceState.open,
    "PACKED": SourceState.open,
    "READY_TO_DISPATCH": SourceState.open,
    "PICKUP_COMPLETE": SourceState.shipped,
    "SHIPPED": SourceState.shipped,
    "DELIVERED": SourceState.delivered,
    "COMPLETED": SourceState.delivered,
    # What comes back was delivered first; what never was comes back as `courierReturn`.
    "RETURN_REQUESTED": SourceState.delivered,
    "RETURNED": SourceState.delivered,
}

PROGRESS: Mapping[str, Progress] = {
    "PACKED": Progress.pickup_pending,
    "READY_TO_DISPATCH": Progress.pickup_pending,
    "PICKUP_COMPLETE": Progress.picked_up,
    "SHIPPED": Progress.in_transit,
    "DELIVERED": Progress.delivered,
    "COMPLETED": Progress.delivered,
    "RETURN_REQUESTED": Progress.delivered,
    "RETURNED": Progress.delivered,
    "CANCELLED": Progress.cancelled,
}
"""What the state of a shipment that Flipkart's own courier carries says of the parcel."""

COMING_BACK: Mapping[str, Progress] = {
    "PICKUP_COMPLETE": Progress.rto_initiated,
    "SHIPPED": Progress.rto_initiated,
    "RETURN_REQUESTED": Progress.rto_in_transit,
    "RETURNED": Progress.rto_delivered,
}
"""The same for one that is coming back undelivered."""

HELD_BEFORE = STEPS["PICKUP_COMPLETE"]
"""A hold keeps back what has not left."""

WAREHOUSE_PROFILES = frozenset({"FBF", "FLIPKART_FULFILMENT"})
SELLER_PROFILES = frozenset({"", "NON_FBF", "FBF_LITE", "SELLER_FULFILMENT", "SMART_FULFILMENT"})
SHIPMENT_TYPES = frozenset({"", "NORMAL", "EXPRESS", "SELF"})
PAYMENTS = frozenset({"COD", "PREPAID"})

PRE_DISPATCH = ("APPROVED", "PACKING_IN_PROGRESS", "PACKED", "FORM_FAILED", "READY_TO_DISPATCH")
POST_DISPATCH = ("PICKUP_COMPLETE", "SHIPPED", "DELIVERED", "RETURN_REQUESTED", "RETURNED", "COMPLETED")
CANCELLATIONS = ("sellerCancellation", "buyerCancellation", "marketplaceCancellation")

PARTNERS: tuple[tuple[str, str], ...] = (("delhivery", "DELHIVERY"),)
"""Carriers whose code at Flipkart is known from live use. Its list of codes is not published, and one that is not on it
is refused: everybody else goes as `Other`, with the name beside it."""

OTHER_PARTNER = "Other"

CANCEL_REASONS: tuple[tuple[str, str], ...] = (
    (r"stock|inventory|sold out", "not_enough_inventory"),
    (r"b2b|business", "b2b_order"),
)


def fulfilment(shipment_type: str, profiles: set[str]) -> Fulfilment:
    """Who ships: Flipkart from its own warehouse, the seller by a courier of theirs, or Flipkart's courier."""
    if {profile.upper() for profile in profiles} & WAREHOUSE_PROFILES:
        return Fulfilment.marketplace_warehouse
    return Fulfilment.seller if shipment_type.upper() == "SELF" else Fulfilment.marketplace_logistics


def partner_code(carrier: str) -> str:
    """A carrier's code at Flipkart; `Other` for those whose code nobody knows."""
    spelled = re.sub(r"[^a-z0-9]", "", carrier.lower())
    return next((code for name, code in PARTNERS if spelled.startswith(name)), OTHER_PARTNER)


def cancel_reason(words: str) -> str:
    """A reason in anyone's words → one of the three Flipkart takes from a seller."""
    return next(
        (reason for pattern, reason in CANCEL_REASONS if re.search(pattern, words, re.IGNORECASE)),
        "cannot_procure_item",
    )


def unknown_words(attributes: Mapping[str, str]) -> list[tuple[str, str]]:
    """(field, word) for every word of an order that these tables do not know."""
    known: tuple[tuple[str, frozenset[str]], ...] = (
        ("status", frozenset(STEPS) | CANCELLED),
        ("shipment_type", SHIPMENT_TYPES),
        ("service_profile", SELLER_PROFILES | WAREHOUSE_PROFILES),
        ("payment_type", PAYMENTS),
    )
    return [
        (field, word)
        for field, words in known
        for word in attributes.get(field, "").split(", ")
        if word and word.upper() not in words
    ]
