"""Parcels of Amazon Shipping: what was quoted, bought, and where it is."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shipcrowd.sandbox.pdf import document

if TYPE_CHECKING:
    from shipcrowd.sandbox.amazon.state import Amazon, Seller

CARRIER = "ATS"
SERVICES: dict[str, tuple[str, Decimal, int]] = {
    "SWA-IN-OA": ("Amazon Shipping Standard", Decimal(58), 4),
    "SWA-IN-PREMIUM": ("Amazon Shipping Premium", Decimal(92), 2),
}
"""Service → its name, rupees of the first half kilogram, days. The prices are the sandbox's own."""

PATH = ("ReadyForReceive", "PickupDone", "Departed", "ArrivedAtCarrierFacility", "OutForDelivery", "Delivered")
CANCELLABLE = frozenset(("ReadyForReceive",))
STATUS: dict[str, str] = {
    "ReadyForReceive": "PreTransit",
    "PickupDone": "InTransit",
    "Departed": "InTransit",
    "ArrivedAtCarrierFacility": "InTransit",
    "OutForDelivery": "OutForDelivery",
    "Delivered": "Delivered",
    "DeliveryAttempted": "DeliveryAttempted",
    "Rejected": "Rejected",
    "Undeliverable": "Undeliverable",
    "Lost": "Lost",
    "ReturnInitiated": "Undeliverable",
    "PickupCancelled": "PickupCancelled",
    "AvailableForPickup": "AwaitingCustomerPickup",
    "RecipientRequestedAlternateDeliveryTiming": "InTransit",
}
"""Event → the summary's status."""


@dataclass(frozen=True)
class Quote:
    token: str
    seller_id: str
    until: datetime
    reference: str
    ship_from: dict[str, Any]
    ship_to: dict[str, Any]
    grams: int
    cod: Decimal
    order_id: str | None
    charges: dict[str, Decimal]  # service → rupees; empty where nothing is offered


@dataclass(frozen=True)
class Event:
    code: str
    at: datetime
    city: str
    detail: str | None = None
    returning: bool = False


@dataclass(eq=False)
class Parcel:
    shipment_id: str
    tracking_id: str
    seller_id: str
    reference: str
    service: str
    charge: Decimal
    cod: Decimal
    order_id: str | None
    to_name: str
    to_city: str
    to_pincode: str
    from_city: str
    format: str
    promised: datetime
    events: list[Event] = field(default_factory=list[Event])
    ndr: list[str] = field(default_factory=list[str])
    cancelled: bool = False
    return_tracking_id: str | None = None


def book(world: "Amazon", seller: "Seller", quote: Quote, service: str, kind: str) -> Parcel:
    now = world.now()
    parcel = Parcel(
        shipment_id=f"amzn1.sid.{world.code(24, '0123456789ABCDEF')}",
        tracking_id=world.digits(12),
        seller_id=seller.id,
        reference=quote.reference,
        service=service,
        charge=quote.charges[service],
        cod=quote.cod,
        order_id=quote.order_id,
        to_name=str(quote.ship_to.get("name", "")),
        to_city=str(quote.ship_to.get("city", "")),
        to_pincode=str(quote.ship_to.get("postalCode", "")),
        from_city=str(quote.ship_from.get("city", "")),
        format=kind,
        promised=now + timedelta(days=SERVICES[service][2] + 1),
    )
    world.parcels[parcel.shipment_id] = parcel
    add_event(world, parcel, "ReadyForReceive")
    return parcel


def add_event(world: "Amazon", parcel: Parcel, code: str, detail: str | None = None) -> None:
    if code == "ReturnInitiated":
        parcel.return_tracking_id = parcel.return_tracking_id or world.digits(12)
    there = code in ("OutForDelivery", "Delivered", "DeliveryAttempted", "Rejected", "Undeliverable")
    returning = parcel.return_tracking_id is not None
    parcel.events.append(Event(code, world.now(), parcel.to_city if there else parcel.from_city, detail, returning))


def label(parcel: Parcel) -> bytes:
    """The label in the format it was bought in."""
    rows = [
        (18, "Amazon Shipping"),
        (26, parcel.tracking_id),
        (16, f"COD  Rs {parcel.cod:.2f}" if parcel.cod else "PREPAID"),
        (12, f"To: {parcel.to_name}"),
        (12, f"{parcel.to_city} {parcel.to_pincode}"),
        (10, f"Reference {parcel.reference}"),
        (8, "SANDBOX LABEL - NOT FOR SHIPPING"),
    ]
    if parcel.format == "PDF":
        return document([rows])
    lines = "".join(f"^FO40,{60 + 60 * n}^A0N,{size * 2},{size * 2}^FD{text}^FS" for n, (size, text) in enumerate(rows))
    return f"^XA{lines}^XZ".encode()
