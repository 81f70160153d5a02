"""Shopify's words and our own: ids, statuses, the cash-on-delivery rule. Pure: tables and rules, no network, no clock.

GraphQL shouts its enums and webhooks whisper them; here they are upper case. A word we do not know never raises: it
asks for a person's attention and is counted where it came in.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shipcrowd.channels.contract import Milestone
from shipcrowd.kernel.money import Money
from shipcrowd.orders.schemas import Payment, SourceState

_COD = re.compile(
    r"(?<![a-z0-9])cod(?![a-z0-9])|cash[\s_-]*on[\s_-]*delivery|pay[\s_-]*on[\s_-]*delivery|कैश\s*ऑन\s*डिल[िी]वरी",
    re.IGNORECASE,
)
"""A payment's name is free text of the merchant's: `Cash on Delivery (COD)` is Shopify's own, `gokwik_cod` an app's."""

UNPAID = frozenset({"PENDING", "PARTIALLY_PAID", "EXPIRED"})
PAID = frozenset({"PAID", "AUTHORIZED", "PARTIALLY_REFUNDED"})
GIVEN_BACK = frozenset({"REFUNDED", "VOIDED"})

FULFILMENT_STATES: Mapping[str, SourceState] = {
    "UNFULFILLED": SourceState.open,
    "OPEN": SourceState.open,
    "PENDING_FULFILLMENT": SourceState.open,
    "IN_PROGRESS": SourceState.open,
    "PARTIALLY_FULFILLED": SourceState.partially_shipped,
    "PARTIAL": SourceState.partially_shipped,  # the webhooks' word
    "FULFILLED": SourceState.shipped,
    "ON_HOLD": SourceState.on_hold,
    "SCHEDULED": SourceState.on_hold,
    "REQUEST_DECLINED": SourceState.attention,
    "RESTOCKED": SourceState.cancelled,
    "FULFILLMENT_NOT_REQUIRED": SourceState.nothing_to_ship,
    "NOT_ELIGIBLE": SourceState.nothing_to_ship,  # the webhooks' word
}

AT_ANOTHER_SERVICE = frozenset({"SUBMITTED", "ACCEPTED", "CANCELLATION_REQUESTED", "CANCELLATION_REJECTED"})
"""Request statuses of a fulfilment order that a fulfilment service has in hand: it is not ours to fulfil."""

FULFILMENT_GONE = frozenset({"CANCELLED", "ERROR", "FAILURE"})
"""Statuses of a fulfilment that no longer counts."""

EVENTS: Mapping[Milestone, str] = {
    Milestone.label_printed: "LABEL_PRINTED",
    Milestone.picked_up: "CARRIER_PICKED_UP",
    Milestone.in_transit: "IN_TRANSIT",
    Milestone.out_for_delivery: "OUT_FOR_DELIVERY",
    Milestone.attempted: "ATTEMPTED_DELIVERY",
    Milestone.delivered: "DELIVERED",
    Milestone.failed: "FAILURE",
}

_CARRIERS = (
    "DTDC",
    "India Post",
    "Delhivery",
    "Gati KWE",
    "Professional Couriers",
    "XpressBees",
    "Ecom Express",
    "Ekart",
    "Shadowfax",
    "Bluedart",
)
"""Shopify's spelling of the Indian carriers it knows; exactly so, the tracking number becomes a link."""

_CANCEL_REASONS: tuple[tuple[str, str], ...] = (
    (r"fraud|fake|risk", "FRAUD"),
    (r"stock|inventory", "INVENTORY"),
    (r"declin|payment", "DECLINED"),
    (r"customer|buyer", "CUSTOMER"),
    (r"staff|mistake", "STAFF"),
)

_STATES = {
    "AN": "Andaman and Nicobar Islands",
    "AP": "Andhra Pradesh",
    "AR": "Arunachal Pradesh",
    "AS": "Assam",
    "BR": "Bihar",
    "CG": "Chhattisgarh",
    "CH": "Chandigarh",
    "CT": "Chhattisgarh",
    "DD": "Daman and Diu",
    "DH": "Dadra and Nagar Haveli and Daman and Diu",
    "DL": "Delhi",
    "DN": "Dadra and Nagar Haveli",
    "GA": "Goa",
    "GJ": "Gujarat",
    "HP": "Himachal Pradesh",
    "HR": "Haryana",
    "JH": "Jharkhand",
    "JK": "Jammu and Kashmir",
    "KA": "Karnataka",
    "KL": "Kerala",
    "LA": "Ladakh",
    "LD": "Lakshadweep",
    "MH": "Maharashtra",
    "ML": "Meghalaya",
    "MN": "Manipur",
    "MP": "Madhya Pradesh",
    "MZ": "Mizoram",
    "NL": "Nagaland",
    "OD": "Odisha",
    "OR": "Odisha",
    "PB": "Punjab",
    "PY": "Puducherry",
    "RJ": "Rajasthan",
    "SK": "Sikkim",
    "TG": "Telangana",
    "TN": "Tamil Nadu",
    "TR": "Tripura",
    "TS": "Telangana",
    "UK": "Uttarakhand",
    "UP": "Uttar Pradesh",
    "UT": "Uttarakhand",
    "WB": "West Bengal",
}
"""Old and new codes side by side; Shopify has used both for Uttarakhand, Odisha, Chhattisgarh and Telangana."""

_GSTIN = re.compile(r"\d{2}[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z]")


@dataclass(frozen=True)
class Standing:
    """What decides how an order is paid for and how far it is, whichever shape it came in. Words in upper case."""

    cancelled: bool
    financial: str | None
    fulfilment: str | None
    gateways: tuple[str, ...]
    outstanding: Money | None  # None: the payload is too old to say
    ships: bool  # it has, or had, something a courier could carry
    lines_left: bool
    delivered: bool = False  # every fulfilment of it
    at_another_service: bool = False


def is_cod(standing: Standing) -> bool:
    """Whether the courier is to ask for money: something is owed and a payment of the order goes by a COD name."""
    if standing.financial is not None and standing.financial not in ("PENDING", "PARTIALLY_PAID"):
        return False
    owed = standing.outstanding is None or standing.outstanding.paise > 0
    return owed and any(_COD.search(name) for name in standing.gateways)


def payment(standing: Standing) -> Payment:
    return Payment.cod if is_cod(standing) else Payment.prepaid


def to_collect(standing: Standing) -> Money:
    """What the courier asks for: what is outstanding, not the total, since part may have been paid in advance."""
    return (standing.outstanding or Money.zero) if is_cod(standing) else Money.zero


def state(standing: Standing) -> SourceState:
    """How far the order is. What must not ship (unpaid, held, unknown) never comes out as open."""
    fulfilment = standing.fulfilment or "UNFULFILLED"
    known = FULFILMENT_STATES.get(fulfilment)
    if standing.cancelled:
        return SourceState.cancelled
    if known is SourceState.shipped and standing.ships:
        return SourceState.delivered if standing.delivered else SourceState.shipped
    if standing.financial in GIVEN_BACK or known is SourceState.cancelled:
        return SourceState.cancelled
    if not standing.ships or not standing.lines_left or known is SourceState.nothing_to_ship:
        return SourceState.nothing_to_ship
    if known is None or _unsure_of_payment(standing):
        return SourceState.attention
    if _awaits_payment(standing):
        return SourceState.payment_pending
    if known is SourceState.open and standing.at_another_service:
        return SourceState.attention
    return known


def _unsure_of_payment(standing: Standing) -> bool:
    """An unknown financial status, or part-paid cash on delivery of which we were not told how much is owed."""
    if standing.financial is None:
        return False
    if standing.financial == "PARTIALLY_PAID" and standing.outstanding is None:
        return True
    return standing.financial not in UNPAID | PAID | GIVEN_BACK


def _awaits_payment(standing: Standing) -> bool:
    if standing.financial in PAID or is_cod(standing):
        return False
    return standing.outstanding is None or standing.outstanding.paise > 0


def unknown_words(attributes: Mapping[str, str]) -> list[tuple[str, str]]:
    """(field, word) for every status of an order that these tables do not know."""
    known: tuple[tuple[str, Iterable[str]], ...] = (
        ("financial_status", UNPAID | PAID | GIVEN_BACK),
        ("fulfillment_status", FULFILMENT_STATES),
    )
    return [
        (field, attributes[field])
        for field, words in known
        if attributes.get(field) and attributes[field].upper() not in set(words)
    ]


def carrier(name: str) -> str:
    """A carrier's name in Shopify's spelling where it knows the carrier, else as it is."""
    plain = _plain(name)
    for spelling in _CARRIERS:
        if plain.startswith(_plain(spelling)):
            return spelling
    return name


def cancel_reason(words: str) -> str:
    """A reason in anyone's words → one of Shopify's six."""
    for pattern, reason in _CANCEL_REASONS:
        if re.search(pattern, words, re.IGNORECASE):
            return reason
    return "OTHER"


def province(name: str | None, code: str | None) -> str:
    """The state's name; from its code where only that is given."""
    return (name or "").strip() or _STATES.get((code or "").upper(), code or "")


def gstin(attributes: Iterable[tuple[str, str]]) -> str | None:
    """The buyer's GSTIN: Shopify has no field for it, so themes put it into an attribute named after it."""
    for name, value in attributes:
        if "gst" in name.lower() and (found := _GSTIN.search(re.sub(r"[\s-]", "", value.upper()))):
            return found.group()
    return None


def tail(gid: str | int) -> str:
    """`gid://shopify/Order/5123` or `5123` → `"5123"`, the id that webhooks use."""
    return str(gid).rsplit("/", 1)[-1].split("?", 1)[0]


def gid(kind: str, ref: str) -> str:
    """`5123` → `gid://shopify/Order/5123`; a GID stays as it is."""
    return ref if ref.startswith("gid://") else f"gid://shopify/{kind}/{ref}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
