"""A shop as Shopify keeps it: its apps, tokens, buckets and subscriptions beside its orders and goods."""

import itertools
import random
from dataclasses import dataclass, field
from datetime import datetime

from shipcrowd.sandbox.letters import Postman
from shipcrowd.sandbox.schemas import Access, Mode
from shipcrowd.sandbox.shopify.goods import InventoryItem, Level, Location, Product, Variant, number_of
from shipcrowd.sandbox.shopify.orders import App, Fulfilment, FulfilmentOrder, Order


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
    index_lag_seconds: float = 0.0  # how late search sees a change
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
