"""An order as Amazon keeps it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

Status = Literal[
    "PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNFULFILLABLE"
]

V0_STATUS: dict[str, str] = {
    "PENDING_AVAILABILITY": "PendingAvailability",
    "PENDING": "Pending",
    "UNSHIPPED": "Unshipped",
    "PARTIALLY_SHIPPED": "PartiallyShipped",
    "SHIPPED": "Shipped",
    "CANCELLED": "Canceled",
    "UNFULFILLABLE": "Unfulfillable",
}

EASY_SHIP: dict[str, tuple[str, str]] = {
    "PendingSchedule": ("PENDING_SCHEDULE", "PENDING"),
    "PendingPickUp": ("PENDING_PICK_UP", "PENDING"),
    "PendingDropOff": ("PENDING_DROP_OFF", "PENDING"),
    "LabelCanceled": ("LABEL_CANCELLED", "CANCELLED"),
    "PickedUp": ("PICKED_UP", "IN_TRANSIT"),
    "DroppedOff": ("DROPPED_OFF", "IN_TRANSIT"),
    "AtOriginFC": ("AT_ORIGIN_FC", "IN_TRANSIT"),
    "AtDestinationFC": ("AT_DESTINATION_FC", "IN_TRANSIT"),
    "OutForDelivery": ("OUT_FOR_DELIVERY", "IN_TRANSIT"),
    "Delivered": ("DELIVERED", "DELIVERED"),
    "RejectedByBuyer": ("REJECTED_BY_BUYER", "UNDELIVERABLE"),
    "Undeliverable": ("UNDELIVERABLE", "UNDELIVERABLE"),
    "ReturningToSeller": ("RETURNING_TO_SELLER", "UNDELIVERABLE"),
    "ReturnedToSeller": ("RETURNED_TO_SELLER", "UNDELIVERABLE"),
    "Lost": ("LOST", "UNDELIVERABLE"),
    "Damaged": ("DAMAGED", "UNDELIVERABLE"),
}
"""v0's and the notification's word → (v2026's detailedStatus, its package status)."""


@dataclass(frozen=True)
class Person:
    name: str
    email: str
    phone: str
    line1: str
    line2: str
    city: str
    state: str
    pincode: str
    company: str | None = None


@dataclass(eq=False)
class Item:
    id: str
    asin: str
    sku: str
    title: str
    quantity: int
    unit_price: Decimal
    shipped: int = 0
    cancel_reason: str | None = None  # the buyer asks to cancel

    @property
    def total(self) -> Decimal:
        return self.unit_price * self.quantity


@dataclass(eq=False)
class Package:
    """One parcel of a merchant-fulfilled order. `reference` is the id under which the seller confirmed it."""

    reference: str
    carrier: str
    tracking: str
    method: str
    shipped_at: datetime
    made_at: datetime
    items: dict[str, int]  # item id → units
    status: str = "SHIPPED"


@dataclass(eq=False)
class EasyShip:
    """What Easy Ship knows of an order: where it stands, and the package once it is scheduled."""

    status: str = "PendingSchedule"
    package_id: str | None = None
    tracking: str | None = None
    slot: dict[str, str] = field(default_factory=dict[str, str])
    size: dict[str, object] = field(default_factory=dict[str, object])
    weight: dict[str, object] = field(default_factory=dict[str, object])
    items: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    scheduled_at: datetime | None = None


@dataclass(eq=False)
class Order:
    id: str
    seller_id: str
    marketplace: str
    created_at: datetime
    updated_at: datetime
    status: Status
    fulfilled_by: Literal["MERCHANT", "AMAZON"]
    items: list[Item]
    person: Person
    ship_by: tuple[datetime, datetime]
    deliver_by: tuple[datetime, datetime]
    cod: bool = False
    gift_card: Decimal = Decimal(0)  # part of a COD order that was paid already
    cod_fee: Decimal = Decimal(0)
    shipping_fee: Decimal = Decimal(0)
    programs: tuple[str, ...] = ()
    service: str = "STANDARD"
    personal: bool = True  # False: Amazon withholds buyer and recipient
    reference: str | None = None  # the seller's own number
    packages: list[Package] = field(default_factory=list[Package])
    easy_ship: EasyShip | None = None
    broken: bool = False  # what the API answers about it cannot be read

    @property
    def total(self) -> Decimal:
        return sum((item.total for item in self.items), Decimal(0)) + self.cod_fee + self.shipping_fee

    def at(self, *, created: bool) -> tuple[datetime, str]:
        """Where it stands in a search."""
        return (self.created_at if created else self.updated_at), self.id

    @property
    def v0_status(self) -> str:
        return V0_STATUS[self.status]

    def item(self, item_id: str) -> Item | None:
        return next((one for one in self.items if one.id == item_id), None)

    def package(self, reference: str) -> Package | None:
        return next((one for one in self.packages if one.reference == reference), None)
