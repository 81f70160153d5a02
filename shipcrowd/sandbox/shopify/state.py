"""What a shop holds. Facts that follow from others (totals, statuses) are properties, so they cannot disagree."""

import itertools
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from shipcrowd.kernel import clock
from shipcrowd.kernel.money import Money
from shipcrowd.sandbox.letters import Postman
from shipcrowd.sandbox.schemas import Access, Mode

TaxRates = tuple[tuple[str, Decimal], ...]

COMPANY_STATE = "KA"
"""Where the sandbox's shops are registered: decides between CGST + SGST and IGST."""


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def number_of(gid_text: str, kind: str) -> int | None:
    """The numeric id in a GID of this kind, or None for anything else."""
    head = f"gid://shopify/{kind}/"
    tail = gid_text.removeprefix(head).split("?")[0]
    return int(tail) if gid_text.startswith(head) and tail.isdigit() else None


@dataclass(frozen=True)
class Price:
    """An amount in the shop's currency, which stands for Shopify's MoneyBag."""

    money: Money
    currency: str


@dataclass(eq=False)
class App:
    """The app as Shopify knows it. A custom app belongs to one shop and its token never expires."""

    client_id: str
    client_secret: str
    name: str = "ShipCrowd"
    public: bool = True
    webhook_version: str = "2026-10"
    compliance_url: str | None = None  # set in the app's configuration, not by API


@dataclass(eq=False)
class Product:
    id: int
    title: str
    status: str = "ACTIVE"


@dataclass(eq=False)
class InventoryItem:
    id: int
    sku: str
    tracked: bool
    hsn: str | None
    grams: int


@dataclass(eq=False)
class Variant:
    id: int
    product: Product
    item: InventoryItem
    title: str
    price: Money
    barcode: str | None = None

    @property
    def sku(self) -> str:
        return self.item.sku


@dataclass(eq=False)
class Location:
    id: int
    name: str
    address1: str
    city: str
    province_code: str
    zip: str
    is_active: bool = True


@dataclass(eq=False)
class Level:
    """Stock of one item at one location. On hand is what is available plus what orders have committed."""

    id: int
    item: InventoryItem
    location: Location
    available: int = 0
    committed: int = 0
    updated_at: datetime = field(default_factory=clock.now)

    @property
    def on_hand(self) -> int:
        return self.available + self.committed

    def quantity(self, name: str) -> int | None:
        known = {"available": self.available, "on_hand": self.on_hand, "committed": self.committed}
        return known.get(name)


@dataclass(frozen=True)
class MailingAddress:
    first_name: str
    last_name: str
    company: str | None
    address1: str
    address2: str | None
    city: str
    province: str
    province_code: str | None
    zip: str
    country: str
    country_code: str
    phone: str | None

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True)
class Customer:
    id: int
    first_name: str
    last_name: str
    email: str | None
    phone: str | None


@dataclass(eq=False)
class LineItem:
    id: int
    sku: str
    title: str
    variant_title: str | None
    quantity: int
    unit_price: Money
    discount: Money
    grams: int
    requires_shipping: bool
    tax_rates: TaxRates
    variant: Variant | None
    properties: dict[str, str]
    current_quantity: int = 0
    fulfilled: int = 0

    def __post_init__(self) -> None:
        self.current_quantity = self.quantity

    @property
    def unfulfilled(self) -> int:
        return max(self.current_quantity - self.fulfilled, 0)

    @property
    def net_unit_price(self) -> Money:
        return (self.unit_price * self.quantity - self.discount).split([1] * self.quantity)[-1]

    def net(self, quantity: int) -> Money:
        """What `quantity` of this line cost after discounts."""
        shares = (self.unit_price * self.quantity - self.discount).split([1] * self.quantity)
        return Money.total(shares[:quantity])

    def taxes(self) -> list[tuple[str, Decimal, Money]]:
        """Title, rate and amount of each tax contained in the price (Indian prices include it)."""
        whole = sum((rate for _, rate in self.tax_rates), Decimal(0))
        return [(title, rate, part_of(self.net(self.quantity), rate, whole)) for title, rate in self.tax_rates]


def part_of(price: Money, rate: Decimal, whole: Decimal) -> Money:
    """The tax at `rate` inside a tax-inclusive `price` taxed at `whole` altogether."""
    return Money.rupees(Decimal(price.paise) / 100 * rate / (1 + whole))


@dataclass(eq=False)
class Transaction:
    id: int
    kind: str
    status: str
    gateway: str
    manual: bool
    amount: Money


@dataclass(eq=False)
class Hold:
    id: int
    reason: str
    note: str
    by_app: App | None = None


@dataclass(eq=False)
class FulfilmentLine:
    """A line of a fulfilment order: how many it was given, and how many still wait."""

    id: int
    line: LineItem
    total: int
    remaining: int


@dataclass(eq=False)
class FulfilmentOrder:
    id: int
    order: "Order"
    location: Location
    lines: list[FulfilmentLine]
    status: str = "OPEN"
    request_status: str = "UNSUBMITTED"
    method: str = "SHIPPING"
    holds: list[Hold] = field(default_factory=list[Hold])
    fulfill_at: datetime | None = None

    @property
    def supported_actions(self) -> list[str]:
        by_status = {
            "OPEN": ["CREATE_FULFILLMENT", "REPORT_PROGRESS", "MOVE", "HOLD", "SPLIT"],
            "IN_PROGRESS": ["CREATE_FULFILLMENT", "REPORT_PROGRESS", "HOLD"],
            "ON_HOLD": ["RELEASE_HOLD", "HOLD", "MOVE"],
            "SCHEDULED": ["MARK_AS_OPEN", "MOVE"],
        }
        if self.request_status in ("SUBMITTED", "ACCEPTED"):
            return ["REQUEST_CANCELLATION"]
        return by_status.get(self.status, [])


@dataclass(eq=False)
class FulfilmentEvent:
    id: int
    status: str
    happened_at: datetime
    message: str | None
    city: str | None = None
    province: str | None = None
    country: str | None = None
    zip: str | None = None


@dataclass(eq=False)
class Fulfilment:
    id: int
    order: "Order"
    name: str
    location: Location
    lines: list[tuple[LineItem, int]]
    created_at: datetime
    updated_at: datetime
    company: str | None = None
    numbers: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    status: str = "SUCCESS"
    events: list[FulfilmentEvent] = field(default_factory=list[FulfilmentEvent])

    @property
    def display_status(self) -> str:
        if self.status == "CANCELLED":
            return "CANCELED"
        return self.events[-1].status if self.events else "FULFILLED"


@dataclass(eq=False)
class Order:
    id: int
    number: int
    shop: "Shop"
    currency: str
    created_at: datetime
    processed_at: datetime
    updated_at: datetime
    lines: list[LineItem]
    shipping_address: MailingAddress | None
    billing_address: MailingAddress | None
    customer: Customer | None
    email: str | None
    phone: str | None
    note: str | None
    tags: list[str]
    gateways: list[str]
    shipping_fee: Money
    attributes: dict[str, str]
    test: bool
    source_name: str = "web"
    transactions: list[Transaction] = field(default_factory=list[Transaction])
    fulfilment_orders: list[FulfilmentOrder] = field(default_factory=list[FulfilmentOrder])
    fulfilments: list[Fulfilment] = field(default_factory=list[Fulfilment])
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    closed_at: datetime | None = None
    refunded: Money = Money.zero
    indexed: list[tuple[datetime, datetime]] = field(default_factory=list[tuple[datetime, datetime]])
    """(when it changed, the updated_at it got then): the search index sees these late."""

    @property
    def name(self) -> str:
        return f"#{self.number}"

    def price(self, money: Money) -> Price:
        return Price(money, self.currency)

    @property
    def requires_shipping(self) -> bool:
        return any(line.requires_shipping for line in self.lines)

    @property
    def total_discounts(self) -> Money:
        return Money.total(line.discount for line in self.lines)

    @property
    def subtotal(self) -> Money:
        return Money.total(line.net(line.quantity) for line in self.lines)

    @property
    def total_tax(self) -> Money:
        return Money.total(amount for line in self.lines for _, _, amount in line.taxes())

    @property
    def total(self) -> Money:
        return self.subtotal + self.shipping_fee

    @property
    def current_total(self) -> Money:
        if self.cancelled_at:
            return Money.zero
        return Money.total(line.net(min(line.current_quantity, line.quantity)) for line in self.lines) + Money.total(
            line.unit_price * max(line.current_quantity - line.quantity, 0) for line in self.lines
        ) + self.shipping_fee  # fmt: skip

    @property
    def received(self) -> Money:
        paid = ("SALE", "CAPTURE")
        return Money.total(t.amount for t in self.transactions if t.kind in paid and t.status == "SUCCESS")

    @property
    def outstanding(self) -> Money:
        return max(self.current_total - (self.received - self.refunded), Money.zero)

    @property
    def fully_paid(self) -> bool:
        return not self.outstanding

    @property
    def total_grams(self) -> int:
        return sum(line.grams * line.current_quantity for line in self.lines)

    @property
    def financial_status(self) -> str:
        if self.cancelled_at and not self.received:
            return "VOIDED"
        if self.refunded and self.refunded == self.received:
            return "REFUNDED"
        if self.refunded:
            return "PARTIALLY_REFUNDED"
        if any(t.kind == "AUTHORIZATION" for t in self.transactions) and not self.received:
            return "AUTHORIZED"
        if self.received and self.outstanding:
            return "PARTIALLY_PAID"
        return "PAID" if not self.outstanding else "PENDING"

    def fulfillment_status(self, version: str) -> str:
        """The display status, in the words of an API version."""
        if not self.requires_shipping:
            return "FULFILLMENT_NOT_REQUIRED" if version >= "2026-10" else "UNFULFILLED"
        done = sum(line.fulfilled for line in self.lines)
        left = sum(line.unfulfilled for line in self.lines)
        if done:
            return "PARTIALLY_FULFILLED" if left else "FULFILLED"
        open_ones = {fo.status for fo in self.fulfilment_orders if fo.status not in ("CLOSED", "CANCELLED")}
        for status in ("ON_HOLD", "SCHEDULED", "IN_PROGRESS"):
            if open_ones == {status}:
                return status
        return "UNFULFILLED"


@dataclass(eq=False)
class Subscription:
    id: int
    app: App
    topic: str  # ORDERS_CREATE
    uri: str
    filter: str | None = None
    include_fields: tuple[str, ...] = ()
    name: str | None = None
    failures: int = 0  # in a row
    dropped: bool = False


@dataclass(eq=False)
class Token:
    """An access token. `expires_at` None means it never expires."""

    value: str
    app: App
    scopes: frozenset[str]
    expires_at: datetime | None


@dataclass(eq=False)
class Refresh:
    value: str
    app: App
    scopes: frozenset[str]
    expires_at: datetime
    replaces: "Refresh | None" = None
    first_used_at: datetime | None = None
    dead: bool = False


@dataclass
class Bucket:
    """The cost bucket of one app at one shop."""

    size: float
    restore: float
    level: float
    at: datetime

    def refill(self, now: datetime) -> None:
        self.level = min(self.size, self.level + max((now - self.at).total_seconds(), 0) * self.restore)
        self.at = now


@dataclass(eq=False)
class BulkOperation:
    id: int
    status: str
    lines: list[str]
    started_at: datetime
    error_code: str | None = None
    polls: int = 0


@dataclass(eq=False)
class Shop:
    id: int
    domain: str
    name: str
    email: str
    currency: str
    random: random.Random
    mode: Mode = Mode.open
    access: Access = Access.granted
    index_lag: timedelta = timedelta(0)
    orders: dict[int, Order] = field(default_factory=dict[int, Order])
    products: list[Product] = field(default_factory=list[Product])
    variants: list[Variant] = field(default_factory=list[Variant])
    locations: list[Location] = field(default_factory=list[Location])
    levels: dict[tuple[int, int], Level] = field(default_factory=dict[tuple[int, int], Level])
    subscriptions: dict[int, Subscription] = field(default_factory=dict[int, Subscription])
    tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    refreshes: dict[str, Refresh] = field(default_factory=dict[str, Refresh])
    codes: dict[str, tuple[App, frozenset[str], str, datetime]] = field(
        default_factory=dict[str, tuple[App, frozenset[str], str, datetime]]
    )
    buckets: dict[str, Bucket] = field(default_factory=dict[str, Bucket])
    idempotency: dict[tuple[str, str], tuple[str, object]] = field(
        default_factory=dict[tuple[str, str], tuple[str, object]]
    )
    bulks: dict[int, BulkOperation] = field(default_factory=dict[int, BulkOperation])
    fulfilment_orders: dict[int, FulfilmentOrder] = field(default_factory=dict[int, FulfilmentOrder])
    fulfilments: dict[int, Fulfilment] = field(default_factory=dict[int, Fulfilment])
    next_number: int = 1001

    def level(self, item: InventoryItem, location: Location) -> Level:
        key = (item.id, location.id)
        if key not in self.levels:
            self.levels[key] = Level(item.id * 1000 + location.id % 1000, item, location)
        return self.levels[key]

    def variant(self, sku: str) -> Variant | None:
        return next((variant for variant in self.variants if variant.sku == sku), None)

    def item(self, gid_text: str) -> InventoryItem | None:
        number = number_of(gid_text, "InventoryItem")
        return next((v.item for v in self.variants if v.item.id == number), None)

    def location(self, gid_text: str) -> Location | None:
        number = number_of(gid_text, "Location")
        return next((place for place in self.locations if place.id == number), None)

    def order(self, gid_text: str) -> Order | None:
        return self.orders.get(number_of(gid_text, "Order") or 0)

    def fulfilment_order(self, gid_text: str) -> FulfilmentOrder | None:
        return self.fulfilment_orders.get(number_of(gid_text, "FulfillmentOrder") or 0)

    def fulfilment(self, gid_text: str) -> Fulfilment | None:
        return self.fulfilments.get(number_of(gid_text, "Fulfillment") or 0)


@dataclass
class ShopifyKnobs:
    refuse_non_expiring: bool = True  # public apps made since April 2026 must use expiring tokens
    access_token_seconds: int = 3600
    refresh_token_days: int = 90
    split_remainder: bool = True  # what a partial fulfilment leaves moves to a new fulfilment order
    bucket_size: float = 2000.0
    restore_rate: float = 100.0
    withhold_scopes: frozenset[str] = frozenset()  # not granted although asked for


class Ids:
    """Numbers like Shopify's: 13 digits and more, so they do not fit 32 bits."""

    def __init__(self) -> None:
        self._next = itertools.count(5_123_000_000_001)

    def __call__(self) -> int:
        return next(self._next)


@dataclass
class Shopify:
    """Everything behind myshopify.com in this sandbox."""

    app: App
    postman: Postman
    random: random.Random
    shops: dict[str, Shop] = field(default_factory=dict[str, Shop])
    apps: dict[str, App] = field(default_factory=dict[str, App])
    knobs: ShopifyKnobs = field(default_factory=ShopifyKnobs)
    ids: Ids = field(default_factory=Ids)

    def __post_init__(self) -> None:
        self.apps[self.app.client_id] = self.app

    def secret(self, prefix: str) -> str:
        """A token that looks like Shopify's. Drawn from the seeded random: it protects nothing."""
        return prefix + "".join(self.random.choices("0123456789abcdef", k=32))
