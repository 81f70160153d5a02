"""How states, kinds and amounts are said on the pages. Tables and pure functions; templates use them as filters.

A state's tone is a CSS class and never carries meaning alone: every badge has its words.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta

from shipcrowd.couriers.contract import Paper, Progress
from shipcrowd.identity.permissions import PERMISSIONS
from shipcrowd.kernel import clock
from shipcrowd.kernel.money import Money
from shipcrowd.ledger.chart import MovementCode
from shipcrowd.orders.models import OrderState
from shipcrowd.shipping.models import State

Said = tuple[str, str]
"""Words and tone: act (something to do), wait, go (on its way), good, bad, off."""

ORDER: Mapping[OrderState, Said] = {
    OrderState.ready: ("To ship", "act"),
    OrderState.pending: ("Waiting", "wait"),
    OrderState.booked: ("Booked", "go"),
    OrderState.shipped: ("On the way", "go"),
    OrderState.delivered: ("Delivered", "good"),
    OrderState.rto: ("RTO", "bad"),
    OrderState.cancelled: ("Cancelled", "off"),
    OrderState.ignored: ("Nothing to ship", "off"),
}

SHIPMENT: Mapping[State, Said] = {
    State.booking: ("Booking…", "wait"),
    State.unconfirmed: ("Unconfirmed", "bad"),
    State.refused: ("Not booked", "bad"),
    State.cancelling: ("Cancelling…", "wait"),
    State.pickup_pending: ("Waiting for pickup", "act"),
    State.pickup_failed: ("Pickup failed", "bad"),
    State.picked_up: ("Picked up", "go"),
    State.in_transit: ("In transit", "go"),
    State.out_for_delivery: ("Out for delivery", "go"),
    State.delivered: ("Delivered", "good"),
    State.delivery_failed: ("Delivery failed", "bad"),
    State.rto_initiated: ("RTO started", "bad"),
    State.rto_in_transit: ("RTO in transit", "bad"),
    State.rto_out_for_delivery: ("RTO out for return", "bad"),
    State.rto_delivered: ("Returned to you", "off"),
    State.cancelled: ("Cancelled", "off"),
    State.lost: ("Lost", "bad"),
    State.damaged: ("Damaged", "bad"),
}

BUYER: Mapping[State, str] = {
    State.booking: "Your parcel is being prepared",
    State.unconfirmed: "Your parcel is being prepared",
    State.refused: "This parcel was not sent",
    State.cancelling: "This parcel is being cancelled",
    State.pickup_pending: "Packed, waiting for the courier",
    State.pickup_failed: "Packed, waiting for the courier",
    State.picked_up: "Handed to the courier",
    State.in_transit: "On its way to you",
    State.out_for_delivery: "Out for delivery today",
    State.delivered: "Delivered",
    State.delivery_failed: "The courier could not deliver; it will be tried again",
    State.rto_initiated: "Going back to the seller",
    State.rto_in_transit: "Going back to the seller",
    State.rto_out_for_delivery: "Going back to the seller",
    State.rto_delivered: "Returned to the seller",
    State.cancelled: "Cancelled",
    State.lost: "The courier cannot find this parcel; please ask the seller",
    State.damaged: "Damaged on the way; please ask the seller",
}
"""What the buyer reads; it names neither prices nor quarrels."""

SCAN: Mapping[Progress, str] = {
    Progress.pickup_pending: "Waiting for the courier",
    Progress.pickup_failed: "The courier did not pick it up",
    Progress.picked_up: "Picked up",
    Progress.in_transit: "On the way",
    Progress.out_for_delivery: "Out for delivery",
    Progress.delivered: "Delivered",
    Progress.delivery_failed: "Delivery attempted",
    Progress.rto_initiated: "Going back to the seller",
    Progress.rto_in_transit: "On the way back",
    Progress.rto_out_for_delivery: "Almost back at the seller",
    Progress.rto_delivered: "Back at the seller",
    Progress.cancelling: "Cancellation asked for",
    Progress.cancelled: "Cancelled",
    Progress.lost: "Lost",
    Progress.damaged: "Damaged",
}

STEPS: tuple[tuple[str, frozenset[State]], ...] = (
    ("Packed", frozenset({State.pickup_pending, State.pickup_failed})),
    ("Picked up", frozenset({State.picked_up})),
    ("On the way", frozenset({State.in_transit})),
    ("Out for delivery", frozenset({State.out_for_delivery, State.delivery_failed})),
    ("Delivered", frozenset({State.delivered})),
)
"""The way a parcel usually goes, as the buyer's page draws it."""

HEALTH: Mapping[str, Said] = {
    "ok": ("Healthy", "good"),
    "attention": ("Needs attention", "act"),
    "broken": ("Not working", "bad"),
}

CONNECTION: Mapping[str, Said] = {
    "connected": ("Connected", "good"),
    "paused": ("Paused", "wait"),
    "disconnected": ("Sign in again", "bad"),
    "left": ("Removed at the other side", "bad"),
}

COURIER_ABILITY: Mapping[str, str] = {
    "tests_connection": "tests the sign-in",
    "registers_pickup_points": "knows your pickup addresses",
    "requests_pickup": "comes on request",
    "fetches_labels": "its own labels",
    "gives_papers": "its own invoices",
    "takes_forms": "state-wise forms",
    "books_returns": "returns",
    "reattempts": "new delivery attempts",
    "reports_totals": "counts to compare",
    "sends_webhooks": "live tracking",
}

PAPER: Mapping[Paper, str] = {
    Paper.invoice: "Invoice",
    Paper.bare_label: "Label alone",
    Paper.forms: "Forms",
}

DELIVERY: Mapping[str, Said] = {
    "waiting": ("Waiting", "wait"),
    "handled": ("Taken in", "good"),
    "ignored": ("Nothing to do", "off"),
    "failed": ("Could not be read", "bad"),
}
"""What became of a webhook."""

RETURN: Mapping[str, Said] = {
    "open": ("Waits for you or the marketplace", "act"),
    "approved": ("Approved", "wait"),
    "picked_up": ("On its way back", "wait"),
    "completed": ("Arrived", "good"),
    "rejected": ("Rejected", "off"),
    "cancelled": ("Cancelled", "off"),
    "": ("Unknown to us", "act"),
}
RETURN_KIND: Mapping[str, str] = {"customer": "sent back by the buyer", "undelivered": "never reached the buyer"}
RETURN_ACTION: Mapping[str, str] = {
    "approve": "Approve",
    "reject": "Reject",
    "pickup": "It was picked up",
    "attempt": "The visit failed",
    "complete": "It arrived",
    "cancel": "Cancel",
}

STORE_LOG: Mapping[str, str] = {
    "orders": "Read the orders",
    "order": "Read an order",
    "returns": "Read the returns",
    "return": "Read a return",
    "listings": "Read what is on sale",
    "marketplace_stock": "Read the marketplace's own stock",
    "stock": "Set stock",
    "prices": "Set prices",
    "dispatch": "Told it of packed parcels",
    "cancel": "Asked it to cancel an order",
    "subscribe": "Asked for news",
    "unsubscribe": "Ended the news",
    "test": "Tested",
    "data_request": "A buyer asks for the data you hold of them",
}
"""What was done with a store, as its page says it."""

STORE_ABILITY: Mapping[str, str] = {
    "announces_dispatch": "learns of every parcel",
    "sets_stock": "can take stock levels",
    "lists_products": "can list its products",
    "marks_paid": "learns when cash was collected",
    "follows_feeds": "answers for stock files later",
    "reports_marketplace_stock": "tells what its own warehouses hold",
    "marks_dispatched": "learns when parcels are packed",
    "cancels_orders": "can cancel orders",
    "sets_prices": "can take prices",
    "edits_dispatch": "learns of a corrected AWB",
    "changes_delivery_date": "learns of another delivery date",
    "handles_returns": "tells of returns",
    "subscribes": "sends its news at once",
}
"""What a store can do, as its page says it."""

REGISTRATION: Mapping[str, Said] = {
    "registered": ("Known", "good"),
    "pending": ("Being told", "wait"),
    "failed": ("Not accepted", "bad"),
}

VIA: Mapping[str, str] = {
    "webhook": "sent by the courier",
    "poll": "read from the courier",
    "person": "typed by hand",
}
"""How a scan came to us."""

MANIFEST: Mapping[str, Said] = {
    "open": ("Open", "act"),
    "closed": ("Closed", "wait"),
    "handed_over": ("Handed over", "good"),
}

PICKUP: Mapping[str, Said] = {
    "requested": ("Asked", "wait"),
    "confirmed": ("Confirmed", "good"),
    "with_booking": ("Comes by itself", "good"),
    "failed": ("Refused", "bad"),
}

CHARGE: Mapping[str, str] = {
    "freight": "Freight",
    "fuel": "Fuel surcharge",
    "cod": "COD fee",
    "rto_freight": "Return freight",
    "rto_fuel": "Fuel surcharge on the return",
}


CHARGED: Mapping[MovementCode, str] = {
    MovementCode.freight: "Freight",
    MovementCode.fuel: "Fuel surcharge",
    MovementCode.cod: "COD fee",
    MovementCode.gst: "GST",
}
"""What a booking was charged with, on the wallet's statement."""


HOLD: Mapping[str, str] = {
    "other": "it gave no reason",
    "awaiting_payment": "it waits for the payment",
    "high_risk_of_fraud": "it sees a high risk of fraud",
    "incorrect_address": "the address is not right",
    "inventory_out_of_stock": "something in it is out of stock",
    "unknown_delivery_date": "the delivery date is not known",
    "awaiting_return_items": "it waits for returned items",
    "online_store_post_purchase_cross_sell": "the buyer may still add to it",
}
"""Why a store holds an order back; the keys are its own words (Shopify's FulfillmentHoldReason, lower case)."""

ACTOR: Mapping[str, str] = {"channel": "the store", "courier": "the courier", "system": "ShipCrowd"}


def hold(reason: str) -> str:
    """Why a store holds an order back; a reason newer than the table is shown as it is."""
    return HOLD.get(reason, reason.replace("_", " "))


def actor(who: str, names: Mapping[str, str]) -> str:
    """Who did it; `names` are those of the people and the API keys of the company."""
    if who.startswith("user:"):
        return names.get(who, "someone no longer in the team")
    if who.startswith("api_key:"):
        return f"the program {names[who]}" if who in names else "a program of yours"
    return ACTOR.get(who, who)


def order_state(state: str) -> Said:
    return ORDER[OrderState(state)]


def shipment_state(state: str) -> Said:
    return SHIPMENT[State(state)]


def said(value: str, table: Mapping[str, Said]) -> Said:
    """A value's words and tone; a value newer than the table is shown as it is."""
    return table.get(value, (value.replace("_", " ").capitalize(), "off"))


def steps_of(state: State) -> list[tuple[str, str]]:
    """Each step with `done`, `now` or `ahead`; empty for a parcel that left the usual way. Pure."""
    at = next((i for i, (_, states) in enumerate(STEPS) if state in states), None)
    if at is None:
        return []
    last = len(STEPS) - 1
    return [
        (words, "done" if i < at or (i == at == last) else "now" if i == at else "ahead")
        for i, (words, _) in enumerate(STEPS)
    ]


SCOPED: Mapping[str, str] = {
    "ratecards": "rate cards",
    "places": "pickup addresses",
    "documents": "labels and papers",
    "jobs": "failed jobs",
    "company": "the company's details",
    "api_keys": "API keys",
    "audit": "the audit log",
}
"""What a permission is about, where its own word is not a seller's."""


def scope(permission: str) -> str:
    """A permission in words: `Read orders`, `Change pickup addresses`."""
    about, _, action = permission.partition(":")
    return f"{'Read' if action == 'read' else 'Change'} {SCOPED.get(about, about.replace('_', ' '))}"


def scopes(permissions: Collection[str]) -> str:
    """What a key may do, as short as it can be said."""
    reading = {each for each in PERMISSIONS if each.endswith(":read")}
    if set(permissions) >= PERMISSIONS:
        return "everything"
    if set(permissions) == reading:
        return "read everything"
    return ", ".join(scope(each) for each in permissions)


def money(amount: Money | int) -> str:
    """`₹1,23,456.00`, from Money or paise."""
    return str(amount if isinstance(amount, Money) else Money(amount))


def rupees(amount: Money | int | None) -> str:
    """`1234.50`, as an amount is typed into a form."""
    return "" if amount is None else (amount if isinstance(amount, Money) else Money(amount)).plain()


def kg(grams: int | None) -> str:
    """`1.25 kg` or `350 g`."""
    if grams is None:
        return ""
    return f"{grams} g" if grams < 1000 else f"{typed_kg(grams)} kg"


def typed_kg(grams: int | None) -> str:
    """`1.25`, as a weight is typed into a form."""
    if grams is None:
        return ""
    whole, rest = divmod(grams, 1000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".")


def typed_cm(millimetres: int | None) -> str:
    """`30` or `12.5`, as a length is typed into a form."""
    if millimetres is None:
        return ""
    whole, rest = divmod(millimetres, 10)
    return f"{whole}.{rest}" if rest else str(whole)


def size(length_mm: int | None, breadth_mm: int | None, height_mm: int | None) -> str:
    """`30 × 20 × 12.5 cm`; empty unless all three are known."""
    if not (length_mm and breadth_mm and height_mm):
        return ""
    return " × ".join(typed_cm(side) for side in (length_mm, breadth_mm, height_mm)) + " cm"


def day(on: date) -> str:
    """`22 Nov 2026`."""
    return f"{on.day} {on:%b %Y}"


def moment(at: datetime) -> str:
    """`22 Nov 2026, 3:15 pm`, on an Indian clock."""
    local = clock.ist(at)
    hour = local.hour % 12 or 12
    return f"{local.day} {local:%b %Y}, {hour}:{local:%M} {'am' if local.hour < 12 else 'pm'}"


def short_moment(at: datetime) -> str:
    """`22 Nov, 3:15 pm`; with the year when it is another one."""
    whole = moment(at)
    return whole.replace(f" {clock.today().year},", ",", 1)


_UNITS = ((2 * 365 * 86_400, 365 * 86_400, "years"), (2 * 86_400, 86_400, "d"), (3_600, 3_600, "h"), (60, 60, "min"))
"""From how many seconds on a unit is used: up to two days are told in hours, because a day matters then;
from two years on, no day matters."""


def span(length: timedelta) -> str:
    """`3 d`, `29 h`, `12 min`, `moments`: in whole units, without a sign."""
    seconds = abs(int(length.total_seconds()))
    for least, unit, word in _UNITS:
        if seconds >= least:
            return f"{seconds // unit} {word}"
    return "moments"


def ago(at: datetime) -> str:
    """`2 h ago` or `in 3 d`."""
    length = at - clock.now()
    return f"in {span(length)}" if length > timedelta(0) else f"{span(length)} ago"


def ship_by(at: datetime) -> Said:
    """How long is left to ship, and how much that presses."""
    left = at - clock.now()
    if left <= timedelta(0):
        return f"{span(left)} late", "bad"
    return f"{span(left)} left", "act" if left < timedelta(hours=24) else "off"


def service(name: str, carrier: str) -> str:
    """A service's name without its carrier's, which stands beside: `Special 10 kg`, not `Delhivery Special 10 kg`."""
    if name.lower().startswith(carrier.lower()):
        return name[len(carrier) :].strip(" -·")
    return name


def days(least: int | None, most: int | None) -> str:
    """`2–4 days`, `1 day`, or nothing where the courier does not say."""
    if most is None:
        return ""
    if least is None or least == most:
        return f"{most} day{'' if most == 1 else 's'}"
    return f"{least}–{most} days"
