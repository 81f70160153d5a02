"""Sellers, their places, listings, shipments and returns, as Flipkart keeps them. What is past a cap is refused."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart.schemas import NotificationTarget, ReturnSource
from shipcrowd.sandbox.letters import Postman

MOST_SELLERS = 200
MOST_SHIPMENTS = 50_000  # of one seller
MOST_RETURNS = 20_000  # of one seller

BEFORE_DISPATCH = ("APPROVED", "PACKING_IN_PROGRESS", "PACKED", "FORM_FAILED", "READY_TO_DISPATCH")
AFTER_DISPATCH = ("PICKUP_COMPLETE", "SHIPPED", "DELIVERED", "RETURN_REQUESTED", "RETURNED", "COMPLETED")
PROGRESS = (
    "APPROVED",
    "PACKING_IN_PROGRESS",
    "FORM_FAILED",
    "PACKED",
    "READY_TO_DISPATCH",
    *AFTER_DISPATCH,
)
"""States of an item, the least advanced first. CANCELLED stands beside them."""


@dataclass(frozen=True)
class PostalAddress:
    first_name: str
    last_name: str
    line1: str
    line2: str
    landmark: str
    city: str
    state: str
    state_code: str  # IN-KA
    pincode: str
    phone: str


@dataclass(eq=False)
class Location:
    id: str
    name: str
    address: PostalAddress


@dataclass(eq=False)
class StockAt:
    """What a listing has at one location. `inventory` is the total, orders not yet sent off included."""

    inventory: int
    status: str = "ENABLED"


@dataclass(eq=False)
class Listing:
    sku: str
    fsn: str  # the API calls it product_id
    listing_id: str
    title: str
    hsn: str | None
    gst_percent: int
    mrp: int  # whole rupees
    selling_price: int
    dimensions: tuple[float, float, float, float]  # length, breadth, height in cm; weight in kg
    stock: dict[str, StockAt] | None  # by location; None: the listing shows no locations
    status: str = "ACTIVE"
    archived: bool = False


@dataclass(eq=False)
class Item:
    """A line of a shipment. Prices are rupees for all its units."""

    id: str
    order_id: str
    group_id: str  # what shares it is cancelled together
    ordered_at: datetime
    cod: bool
    listing: Listing
    quantity: int
    selling_price: Decimal
    shipping: Decimal
    discount: Decimal
    service_profile: str
    status: str = "APPROVED"
    held: int = 0
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None  # sellerCancellation, buyerCancellation, marketplaceCancellation
    reason: str | None = None
    sub_reason: str | None = None
    courier_return: bool = False
    replacement: bool = False

    @property
    def live(self) -> bool:
        return self.status != "CANCELLED"

    @property
    def total(self) -> Decimal:
        return self.selling_price + self.shipping

    @property
    def customer_price(self) -> Decimal:
        return self.total - self.discount


@dataclass(eq=False)
class Refusal:
    """What the next writes to one shipment are refused with, because the desk said so."""

    code: str
    message: str
    times: int


@dataclass(eq=False)
class Shipment:
    id: str
    location: Location
    kind: Literal["NORMAL", "EXPRESS", "SELF"]
    items: list[Item]
    buyer: PostalAddress
    dispatch_after: datetime
    dispatch_by: datetime
    created_at: datetime
    updated_at: datetime
    mps: bool = False
    hold: bool = False
    form: str | None = None  # the state's way-bill form it cannot be packed without
    form_acknowledged: str | None = None
    quoted_sku: bool = False
    malformed: bool = False
    invoice_number: str | None = None
    invoice_date: str | None = None
    tax_rates: dict[str, float] = field(default_factory=dict[str, float])
    awb: str | None = None
    courier: str | None = None
    packed_at: datetime | None = None
    label_at: datetime | None = None
    dispatched_at: datetime | None = None
    promised: datetime | None = None  # self-ship: the tentative delivery date
    attempts: list[tuple[datetime, str]] = field(default_factory=list[tuple[datetime, str]])
    refusal: Refusal | None = None

    @property
    def live(self) -> list[Item]:
        return [item for item in self.items if item.live]

    @property
    def status(self) -> str:
        """That of the least advanced live item."""
        return min((item.status for item in self.live), key=PROGRESS.index, default="CANCELLED")

    @property
    def ordered_at(self) -> datetime:
        return min(item.ordered_at for item in self.items)

    @property
    def order_id(self) -> str:
        return self.items[0].order_id

    @property
    def self_ship(self) -> bool:
        return self.kind == "SELF"

    @property
    def fbf(self) -> bool:
        return any(item.service_profile == "FBF" for item in self.items)


@dataclass(eq=False)
class Return:
    id: str
    shipment: Shipment
    item: Item
    source: ReturnSource
    quantity: int
    action: str
    reason: str
    sub_reason: str
    comments: str
    fulfilment_id: str  # of the pickup service
    created_at: datetime
    updated_at: datetime
    expected_at: datetime
    status: str = "created"
    shipment_status: str = "CREATED"
    awb: str | None = None
    courier: str | None = None
    approved_at: datetime | None = None


@dataclass(eq=False)
class App:
    """An application at Flipkart. One with a seller is that seller's own (self access), one without is a partner's."""

    id: str
    secret: str
    name: str
    seller: "Seller | None" = None


@dataclass(eq=False)
class Token:
    value: str
    app: App
    seller: "Seller"
    expires_at: datetime


@dataclass(eq=False)
class Code:
    app: App
    seller: "Seller"
    redirect_uri: str
    expires_at: datetime


@dataclass
class Calls:
    """A seller's API calls: those let through (for the limits) and all (for the statistics)."""

    passed: deque[datetime] = field(default_factory=lambda: deque[datetime](maxlen=20_000))
    second: deque[datetime] = field(default_factory=deque[datetime])
    hour: deque[datetime] = field(default_factory=lambda: deque[datetime](maxlen=20_000))
    total: int = 0
    refused: int = 0
    most_in_a_second: int = 0
    most_in_an_hour: int = 0
    over: bool = False


Found = tuple[int, list[Shipment], Iterator[Shipment]]
"""At which revision, what was found so far, and where the looking goes on."""

Ordered = tuple[int, list[datetime], list[Shipment]]
"""At which revision, the times in order, and the shipments in the same."""


@dataclass(eq=False)
class Seller:
    id: str
    name: str
    own_app: App
    locations: dict[str, Location]
    listings: dict[str, Listing] = field(default_factory=dict[str, Listing])
    shipments: dict[str, Shipment] = field(default_factory=dict[str, Shipment])
    returns: dict[str, Return] = field(default_factory=dict[str, Return])
    approved: bool = True  # False: the app may sign in, and every call is a 403
    target: NotificationTarget | None = None
    calls: Calls = field(default_factory=Calls)
    revision: int = 0
    """Grows with every change, so that what was worked out from the whole can be kept until the next one."""
    pages: dict[str, Found] = field(default_factory=dict[str, Found])
    ordered: dict[str, Ordered] = field(default_factory=dict[str, Ordered])
    pending: tuple[int, dict[tuple[str, str], int]] | None = None


@dataclass
class World:
    """Everything behind api.flipkart.net in this sandbox."""

    app: App
    postman: Postman
    random: random.Random
    knobs: "Knobs" = field(default_factory=lambda: Knobs())
    apps: dict[str, App] = field(default_factory=dict[str, App])
    sellers: dict[str, Seller] = field(default_factory=dict[str, Seller])
    tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    refreshes: dict[str, Token] = field(default_factory=dict[str, Token])
    codes: dict[str, Code] = field(default_factory=dict[str, Code])
    _due: list[tuple[datetime, int, Callable[[datetime], None]]] = field(
        default_factory=list[tuple[datetime, int, Callable[[datetime], None]]]
    )
    _turn: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.apps[self.app.id] = self.app

    def later(self, seconds: float, act: Callable[[datetime], None]) -> None:
        """Do it once the sandbox's clock is `seconds` on; it is told the time it was due."""
        heapq.heappush(self._due, (clock.now() + timedelta(seconds=seconds), next(self._turn), act))

    def settle(self) -> None:
        """Carry out what is due by now."""
        while self._due and self._due[0][0] <= clock.now():
            at, _, act = heapq.heappop(self._due)
            act(at)

    def hexadecimal(self, length: int) -> str:
        """Drawn from the seeded random: it protects nothing."""
        return "".join(self.random.choices("0123456789abcdef", k=length))

    def digits(self, length: int) -> str:
        return str(self.random.randrange(1, 10)) + "".join(self.random.choices("0123456789", k=length - 1))

    def uuid(self) -> str:
        drawn = self.hexadecimal(32)
        return "-".join((drawn[:8], drawn[8:12], "4" + drawn[13:16], "a" + drawn[17:20], drawn[20:]))


def touch(seller: Seller, shipment: Shipment, at: datetime | None = None) -> None:
    """It changed: now, or at a time that is not before its last change."""
    shipment.updated_at = max(shipment.updated_at, at or clock.now())
    seller.revision += 1


@dataclass
class Knobs:
    """How this Flipkart behaves; `schemas.KnobChange` says what each means to a person."""

    access_token_seconds: int = 60 * 24 * 3600
    refresh_token_seconds: int = 180 * 24 * 3600
    refresh_returns: Literal["same", "new", "none"] = "same"
    per_second: int = 10
    per_hour: int = 1000
    page_size: int = 20
    drift: Literal["off", "touch", "leave"] = "off"
    drift_per_page: int = 1
    pack_seconds: float = 5.0
    pack_fails: float = 0.0
    label_hours: float = 24.0
    expire_labels: bool = False
    dialect: Literal["usual", "other"] = "usual"
    personal_data: Literal["absent", "masked"] = "absent"
    partial_cancel: Literal["reduced", "split"] = "reduced"
    otc_unavailable: bool = False
    partner_codes: frozenset[str] = frozenset(("DELHIVERY", "Other"))
