"""Applications, sellers and what Amazon remembers of both."""

import asyncio
import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar
from uuid import UUID

from shipcrowd.kernel import clock
from shipcrowd.sandbox.amazon.goods import Listing
from shipcrowd.sandbox.amazon.orders import Order
from shipcrowd.sandbox.amazon.parcels import Parcel, Quote
from shipcrowd.sandbox.letters import Postman

K = TypeVar("K")
V = TypeVar("V")
Json = Any
Region = Literal["eu", "na", "fe"]
Poison = Literal["bomb", "entities", "not_gzip"]

NAP = 0.1  # seconds between looks at work that finishes by itself


class Kept(dict[K, V]):
    """A dict that forgets its oldest entries: a sandbox that runs for weeks must not grow for weeks."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        while len(self) > self.most:
            del self[next(iter(self))]


@dataclass(frozen=True)
class Marketplace:
    id: str
    country: str
    name: str
    currency: str
    language: str
    domain: str
    region: Region


INDIA = "A21TJRUUN4KGV"
MARKETPLACES = {
    one.id: one
    for one in (
        Marketplace(INDIA, "IN", "Amazon.in", "INR", "en_IN", "www.amazon.in", "eu"),
        Marketplace("A2VIGQ35RCS4UG", "AE", "Amazon.ae", "AED", "en_AE", "www.amazon.ae", "eu"),
        Marketplace("ATVPDKIKX0DER", "US", "Amazon.com", "USD", "en_US", "www.amazon.com", "na"),
        Marketplace("A1VC38T7YXB528", "JP", "Amazon.co.jp", "JPY", "ja_JP", "www.amazon.co.jp", "fe"),
    )
}


@dataclass(eq=False)
class Secret:
    value: str
    expires_at: datetime | None = None


@dataclass(eq=False)
class App:
    """A developer's application. During a rotation two secrets work."""

    client_id: str
    application_id: str
    secrets: list[Secret]
    name: str = "ShipCrowd"

    @property
    def secret(self) -> str:
        return self.secrets[-1].value


@dataclass(eq=False)
class Grant:
    """A seller's word to an application."""

    app: App
    seller: "Seller"
    refresh_token: str
    granted_at: datetime
    revoked: bool = False


@dataclass(eq=False)
class Token:
    """An access token: of a seller's grant, or of a scope for the grantless operations."""

    value: str
    app: App
    grant: Grant | None
    scope: str | None
    expires_at: datetime


@dataclass(frozen=True)
class Resource:
    method: str
    path: str  # may hold a literal {orderId}
    elements: frozenset[str]


@dataclass(eq=False)
class RestrictedToken:
    value: str
    grant: Grant
    resources: tuple[Resource, ...]
    expires_at: datetime


@dataclass(eq=False)
class Destination:
    id: str
    app: App
    name: str
    resource: Json  # {"sqs": {"arn": …}} or {"eventBridge": {…}}

    @property
    def queue_arn(self) -> str | None:
        return self.resource.get("sqs", {}).get("arn")


@dataclass(eq=False)
class Subscription:
    id: str
    app: App
    seller: "Seller"
    type: str
    payload_version: str
    destination: Destination
    directive: Json | None


@dataclass(eq=False)
class Document:
    """A file behind presigned links: uploaded for a feed, or written by Amazon."""

    id: str
    key: str
    content_type: str
    owner: "Seller"
    made_at: datetime
    content: bytes | None = None
    gzip: bool = False


@dataclass(eq=False)
class Feed:
    id: str
    seller: "Seller"
    app: App
    type: str
    marketplaces: tuple[str, ...]
    input: Document
    options: dict[str, str]
    created_at: datetime
    status: str = "IN_QUEUE"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: Document | None = None


@dataclass(eq=False)
class Report:
    id: str
    seller: "Seller"
    app: App
    type: str
    marketplaces: tuple[str, ...]
    options: dict[str, str]
    start: datetime | None
    end: datetime | None
    created_at: datetime
    status: str = "IN_QUEUE"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    document: Document | None = None


@dataclass(frozen=True)
class Slot:
    """A hand-over of Easy Ship, offered for one order until a moment."""

    id: str
    order_id: str
    start: datetime
    end: datetime
    offered_until: datetime


@dataclass
class Bucket:
    """The token bucket of one operation for one seller and application."""

    rate: float
    burst: float
    level: float
    at: datetime

    def take(self, now: datetime) -> bool:
        """One call; whether there was room for it."""
        self.level = min(self.burst, self.level + max((now - self.at).total_seconds(), 0.0) * self.rate)
        self.at = now
        # A clock that counts microseconds leaves a full token a hair short after exactly 1/rate seconds.
        if self.level < 1 - 1e-6:
            return False
        self.level = max(self.level - 1, 0.0)
        return True


@dataclass(eq=False)
class Seller:
    id: str
    name: str
    marketplaces: tuple[str, ...] = (INDIA,)
    participating: bool = True
    suspended: bool = False
    personal_data: bool = True  # whether the app has the restricted roles at this seller
    grants: dict[str, Grant] = field(default_factory=dict[str, Grant])  # by client id
    orders: dict[str, Order] = field(default_factory=lambda: Kept[str, Order](50_000))
    listings: dict[str, Listing] = field(default_factory=dict[str, Listing])
    feeds: dict[str, Feed] = field(default_factory=lambda: Kept[str, Feed](1000))
    reports: dict[str, Report] = field(default_factory=lambda: Kept[str, Report](1000))

    changes: int = 0  # to orders: an index of them is good until the next
    indexes: dict[bool, tuple[int, list[Order]]] = field(default_factory=dict[bool, tuple[int, list[Order]]])

    def in_order(self, *, created: bool) -> list[Order]:
        """All orders by time of creation or of change, then by id. Sorted once for all pages of a search."""
        known = self.indexes.get(created)
        if known is None or known[0] != self.changes:
            known = self.changes, sorted(self.orders.values(), key=lambda one: one.at(created=created))
            self.indexes[created] = known
        return known[1]

    @property
    def region(self) -> Region:
        return MARKETPLACES[self.marketplaces[0]].region


@dataclass
class AmazonKnobs:
    access_token_seconds: int = 3600
    enforce_limits: bool = True
    search_lag_seconds: float = 120.0  # how far back searchOrders ends when the caller names no end
    listing_seconds: float = 5.0  # until an accepted change of a listing shows
    feed_queue_seconds: float = 5.0
    feed_work_seconds: float = 10.0
    report_seconds: float = 10.0
    document_url_seconds: int = 300
    slot_seconds: int = 900  # how long an Easy Ship slot may be taken after it was offered
    inventory_token_seconds: float = 30.0
    cancellation: bool = True  # whether cancelOrder exists: documented, not in the published model
    poison: Poison | None = None  # what is wrong with the documents Amazon serves
    rates: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """Operation → (calls a second, burst) where this seller's usage plan differs from the published one."""


@dataclass
class Amazon:
    """Everything behind amazon.com in this sandbox."""

    app: App
    postman: Postman
    random: random.Random
    knobs: AmazonKnobs = field(default_factory=AmazonKnobs)
    ahead: timedelta = timedelta()  # how far this clock is before the kernel's
    queue_endpoint: str | None = None  # of the SQS server on this machine
    secret_queue: str | None = None  # ARN the developer console sends new client secrets to
    apps: dict[str, App] = field(default_factory=dict[str, App])
    sellers: dict[str, Seller] = field(default_factory=dict[str, Seller])
    codes: dict[str, tuple[App, Seller, str, datetime]] = field(
        default_factory=lambda: Kept[str, tuple[App, Seller, str, datetime]](1000)
    )
    starts: dict[str, tuple[App, Seller]] = field(default_factory=lambda: Kept[str, tuple[App, Seller]](1000))
    """amazon_state of sign-ins that began at the Appstore."""
    tokens: dict[str, Token] = field(default_factory=lambda: Kept[str, Token](5000))
    restricted: dict[str, RestrictedToken] = field(default_factory=lambda: Kept[str, RestrictedToken](1000))
    orders: dict[str, Order] = field(default_factory=lambda: Kept[str, Order](200_000))
    destinations: dict[str, Destination] = field(default_factory=dict[str, Destination])
    subscriptions: dict[str, Subscription] = field(default_factory=dict[str, Subscription])
    documents: dict[str, Document] = field(default_factory=lambda: Kept[str, Document](500))
    buckets: dict[tuple[str, str, str], Bucket] = field(default_factory=dict[tuple[str, str, str], Bucket])
    requests: dict[str, int] = field(default_factory=dict[str, int])  # operation → calls
    overdrawn: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """(seller, operation) → calls beyond the usage plan, whether or not they were refused."""
    running_feeds: list[Feed] = field(default_factory=list[Feed])
    running_reports: list[Report] = field(default_factory=list[Report])
    slots: dict[str, Slot] = field(default_factory=lambda: Kept[str, Slot](5000))
    quotes: dict[str, Quote] = field(default_factory=lambda: Kept[str, Quote](5000))
    parcels: dict[str, Parcel] = field(default_factory=lambda: Kept[str, Parcel](20_000))
    purchases: dict[tuple[str, str], Parcel] = field(default_factory=lambda: Kept[tuple[str, str], Parcel](20_000))
    """(seller, idempotency key) → what was bought under it."""
    settlers: list[Callable[[], bool]] = field(default_factory=list[Callable[[], bool]])
    """What finishes with time. Each looks at the clock, does what is due, and says whether more is to come."""
    _ticking: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.apps[self.app.client_id] = self.app

    # --- time

    def now(self) -> datetime:
        return clock.now() + self.ahead

    def settle(self) -> bool:
        """Do everything that is due; whether something still waits for its time."""
        waiting = [settler() for settler in self.settlers]  # all of them, not only up to the first that waits
        return any(waiting)

    def wake(self) -> None:
        """Keep looking at the clock until nothing waits, if an event loop runs here."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._ticking is None or self._ticking.done():
            self._ticking = loop.create_task(self._tick(), name="sandbox-amazon")

    async def _tick(self) -> None:
        while self.settle():  # noqa: ASYNC110 - it is the clock that is waited for, and tests move it
            await asyncio.sleep(NAP)

    async def close(self) -> None:
        if self._ticking and not self._ticking.done():
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    # --- numbers and names, drawn from the seeded random: they protect nothing

    def code(self, length: int, letters: str = string.ascii_letters + string.digits) -> str:
        return "".join(self.random.choices(letters, k=length))

    def digits(self, length: int) -> str:
        return str(self.random.randrange(10 ** (length - 1), 10**length))

    def uuid(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))
