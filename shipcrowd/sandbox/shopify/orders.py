"""An order and its fulfilment. What follows from something else (totals, statuses) is a property, so they agree."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from shipcrowd.kernel.money import Money
from shipcrowd.sandbox.shopify.goods import Location, Price, Variant

if TYPE_CHECKING:
    from shipcrowd.sandbox.shopify.state import Shop

TaxRates = tuple[tuple[str, Decimal], ...]

COMPANY_STATE = "KA"
"""Where the sandbox's shops are registered: decides between CGST + SGST and IGST."""


@dataclass(eq=False)
class App:
    """The app as Shopify knows it. A custom app belongs to one shop and its token never expires."""

    client_id: str
    client_secret: str
    name: str = "ShipCrowd"
    public: bool = True
    webhook_version: str = "2026-10"
    compliance_url: str | None = None  # set in the app's configuration, not by API


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
