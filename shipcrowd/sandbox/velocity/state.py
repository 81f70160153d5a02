"""Accounts, pickup places and parcels of the courier."""

import base64
import random
import string
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from shipcrowd.sandbox.letters import Postman
from shipcrowd.sandbox.schemas import WebhookShape, WebhookTarget

Flow = Literal["forward", "return"]
Json = Any


@dataclass(frozen=True)
class Carrier:
    id: str
    name: str
    priority: int
    dearness: Decimal
    awb: str  # how its numbers look: # is a digit
    qc: bool = False  # checks goods at a return pickup


@dataclass(frozen=True)
class Charges:
    freight: Decimal
    cod: Decimal
    rto: Decimal


@dataclass(eq=False)
class Warehouse:
    id: str
    account: str
    name: str
    phone: str
    zip: str
    city: str
    state: str


@dataclass(frozen=True)
class Scan:
    at: datetime
    status: str
    location: str
    remark: str

    @property
    def activity(self) -> str:
        return f"{self.status} - {self.remark}" if self.remark else self.status


@dataclass(eq=False)
class Parcel:
    """An order at the courier; a parcel once it has a courier and a number."""

    account: str
    order_id: str  # the seller's
    courier_order_id: str
    shipment_id: str
    flow: Flow
    body: dict[str, Json]
    warehouse: Warehouse
    from_pincode: str
    to_pincode: str
    to_name: str
    to_city: str
    cod: Decimal  # rupees to collect
    value: Decimal
    weight_kg: Decimal
    applied_kg: Decimal
    created_at: datetime
    return_id: str | None = None
    awb: str | None = None
    carrier: Carrier | None = None
    charges: Charges | None = None
    booked_at: datetime | None = None
    label_key: str | None = None
    scans: list[Scan] = field(default_factory=list[Scan])
    cancel_due: datetime | None = None
    utr: str | None = None
    remitted_on: date | None = None

    @property
    def status(self) -> str:
        return self.scans[-1].status if self.scans else "NEW"

    def first(self, *statuses: str) -> datetime | None:
        return next((scan.at for scan in self.scans if scan.status in statuses), None)


@dataclass
class VelocityKnobs:
    token_seconds: int = 24 * 3600
    unserviceable: frozenset[str] = frozenset({"194401", "744301", "737120"})
    prepaid_only: frozenset[str] = frozenset({"194101", "793200"})
    unserviceable_as_empty: bool = False  # an empty list with 200, instead of a 422
    reject_duplicate_orders: bool = False  # by default the same order_id twice is two parcels
    cancel_seconds: float = 2.0
    enforce_budget: bool = False
    missing_warehouse_status: Literal[400, 404] = 404
    webhook_shape: WebhookShape = WebhookShape.typed
    label_link_seconds: int = 7 * 24 * 3600
    label_missing: float = 0.0  # share of bookings that come back with label_generated 0 and no link


@dataclass
class Velocity:
    """Everything behind shazam.velocity.in in this sandbox."""

    postman: Postman
    random: random.Random
    accounts: dict[str, str]  # mobile number with +91 → password
    knobs: VelocityKnobs = field(default_factory=VelocityKnobs)
    tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict[str, tuple[str, datetime]])
    warehouses: dict[str, Warehouse] = field(default_factory=dict[str, Warehouse])
    parcels: list[Parcel] = field(default_factory=list[Parcel])
    by_awb: dict[str, Parcel] = field(default_factory=dict[str, Parcel])
    cancelling: list[Parcel] = field(default_factory=list[Parcel])
    webhook: WebhookTarget | None = None
    calls: dict[tuple[str, str], deque[datetime]] = field(default_factory=dict[tuple[str, str], deque[datetime]])

    def code(self, prefix: str, length: int = 10) -> str:
        """An id as the vendor makes them: `ORDKDKHOFL07I`."""
        return prefix + "".join(self.random.choices(string.ascii_uppercase + string.digits, k=length))

    def token(self) -> str:
        """As the vendor's look: 22 characters. Drawn from the seeded random: it protects nothing."""
        return base64.urlsafe_b64encode(self.random.randbytes(16)).decode().rstrip("=")

    def number(self, pattern: str) -> str:
        """An AWB in a carrier's style that nobody has yet."""
        while True:
            made = "".join(str(self.random.randrange(10)) if sign == "#" else sign for sign in pattern)
            if made not in self.by_awb:
                return made
