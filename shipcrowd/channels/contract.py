"""What a sales channel must be able to do for us, and what it may do besides.

Each ability is a Protocol of its own, asked with `isinstance`. Every method raises only the four outside failures
of `kernel.outbound`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from pydantic import BaseModel

from shipcrowd.kernel.mailbox import Mailbox
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Http, Json
from shipcrowd.orders.schemas import IncomingOrder


@dataclass(frozen=True)
class StoreInfo:
    """The store as the vendor knows it. `external_id` is what no two stores share there."""

    external_id: str
    name: str
    currency: str = "INR"
    timezone: str = "Asia/Kolkata"
    email: str | None = None
    missing_scopes: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class FailedItem:
    """One record of a page that could not be read: kept with its raw form, shown, replayed after a fix."""

    external_id: str
    reason: str
    raw: Json


@dataclass(frozen=True)
class Page:
    """Orders of one page, oldest change first. `through` is the change time everything up to here was seen at."""

    orders: tuple[IncomingOrder, ...]
    failed: tuple[FailedItem, ...] = ()
    through: datetime | None = None


class Milestone(StrEnum):
    label_printed = "label_printed"
    picked_up = "picked_up"
    in_transit = "in_transit"
    out_for_delivery = "out_for_delivery"
    attempted = "attempted"
    delivered = "delivered"
    failed = "failed"


@dataclass(frozen=True)
class DispatchLine:
    external_line_id: str
    units: int


@dataclass(frozen=True)
class Dispatch:
    """A parcel that left (or is about to). `carrier` is the real carrier's name, `tracking_url` ours or theirs."""

    reference: str  # our shipment's id
    awb: str
    carrier: str
    tracking_url: str | None
    lines: tuple[DispatchLine, ...]
    notify_buyer: bool = True


@dataclass(frozen=True)
class StockLevel:
    external_variant_id: str
    location: str
    available: int


@dataclass(frozen=True)
class StockRefusal:
    external_variant_id: str
    code: str
    message: str


@dataclass(frozen=True)
class FeedTicket:
    """The channel took the levels as a file and will report later."""

    reference: str


@dataclass(frozen=True)
class Listing:
    """A thing on sale at the channel, for mapping to our SKUs."""

    external_variant_id: str
    external_product_id: str
    sku: str | None
    title: str
    price: Money | None = None
    barcode: str | None = None
    hsn: str | None = None
    weight_grams: int | None = None
    stock_id: str | None = None


@runtime_checkable
class SalesChannel(Protocol):
    async def store(self) -> StoreInfo:
        """Who we are connected to; also the *test connection* button."""
        ...

    def orders(self, since: datetime) -> AsyncIterator[Page]:
        """Every order changed at or after `since`, in pages, oldest change first."""
        ...

    async def order(self, external_id: str) -> IncomingOrder:
        """One order, read afresh. Raises Refused("not_found", …) when the channel has no such order."""
        ...


@runtime_checkable
class AnnouncesDispatch(Protocol):
    async def dispatched(self, order_ref: str, dispatch: Dispatch) -> str | None:
        """Tell the channel a parcel was booked; its id for that, for later milestones. Safe to repeat."""
        ...

    async def moved(self, dispatch_ref: str, milestone: Milestone, at: datetime, message: str) -> None:
        """Tell the channel how the parcel fares."""
        ...

    async def withdrawn(self, dispatch_ref: str) -> None:
        """The booking was cancelled before pickup: take the dispatch back."""
        ...


@runtime_checkable
class SetsStock(Protocol):
    async def set_stock(self, levels: Sequence[StockLevel]) -> Sequence[StockRefusal] | FeedTicket: ...


@runtime_checkable
class ListsProducts(Protocol):
    def listings(self) -> AsyncIterator[Sequence[Listing]]: ...


@runtime_checkable
class CancelsOrders(Protocol):
    async def cancel_order(self, order_ref: str, reason: str) -> None: ...


@runtime_checkable
class MarksPaid(Protocol):
    async def paid_on_delivery(self, order_ref: str) -> None: ...


@runtime_checkable
class Subscribes(Protocol):
    async def subscribe(self, webhook_url: str) -> Sequence[str]:
        """Make the subscriptions we need match `webhook_url`, creating what is missing; the topics now in force."""
        ...

    async def unsubscribe(self) -> None: ...


# --- webhooks -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OrderChanged:
    """The payload holds the whole order."""

    order: IncomingOrder


@dataclass(frozen=True)
class OrderTouched:
    """Something about this order changed: read it afresh."""

    external_id: str


@dataclass(frozen=True)
class StoreLeft:
    """The seller removed our app there. `at` lets a late delivery after a re-install be told apart."""

    at: datetime | None


@dataclass(frozen=True)
class PrivacyAsk:
    """A buyer's data is asked for or must go. `kind`: data_request | redact_buyer | redact_store."""

    kind: str
    external_order_ids: tuple[str, ...] = ()
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True)
class NothingToDo:
    """Understood, and of no consequence to us (an unknown topic, a product change)."""

    topic: str


ChannelEvent = OrderChanged | OrderTouched | StoreLeft | PrivacyAsk | NothingToDo


class ChannelWebhooks(Protocol):
    def verify(self, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Raises Unauthenticated unless the raw body was signed with one of `secrets`. Header keys are lower case."""
        ...

    def sign(self, secret: str, topic: str, store: str, body: bytes, now: datetime) -> dict[str, str]:
        """The headers the vendor would send with this body: for `shipcrowd webhook send`."""
        ...

    def delivery_id(self, headers: Mapping[str, str], body: bytes) -> str: ...

    def topic(self, headers: Mapping[str, str], body: bytes) -> str: ...

    def store(self, headers: Mapping[str, str], body: bytes) -> str:
        """The store's external id."""
        ...

    def read(self, topic: str, body: bytes, headers: Mapping[str, str]) -> list[ChannelEvent]:
        """Raises Malformed."""
        ...


# --- accounts and sign-in -------------------------------------------------------------------------------------


@dataclass
class StoreAccount:
    """One connected store, opened. `credentials()` gives credentials good for at least a minute, renewing them
    first where needed (one renewal at a time across all processes); `credentials(stale=old)` insists on others
    than `old`, after the vendor said 401. Raises Disconnected."""

    key: str  # stable id of the account, for pacing
    external_id: str
    credentials: Callable[..., Awaitable[BaseModel]]
    http: Http
    app: BaseModel  # the vendor's app settings (client id and secret), from `ChannelVendor.app_settings`
    pace: Callable[[str, int], Awaitable[None]]
    """`await pace(operation, cost)` waits for its turn in the shared bucket of this account."""
    retune: Callable[[str, float, float, float], Awaitable[None]]
    """`await retune(operation, capacity, left, refill_per_second)`: the vendor told us the bucket's real state."""


@dataclass(frozen=True)
class SignIn:
    """A sign-in by redirect (OAuth). Both functions are pure but for `finish`, which exchanges the code.

    `start(app, shop, state, redirect_uri)` → the URL to send the browser to; raises Invalid for a bad shop.
    `check(app, query, now)` → the shop; raises Unauthenticated for a forged or stale callback. `query` is the
    list of decoded (key, value) pairs. The `state` itself is bound to the session by the caller.
    `await finish(app, http, shop, code, redirect_uri, now)` → credentials.

    Where the vendor says who signed in only when the browser comes back, `place(typed)` makes of what the seller
    typed the place to sign in at (a marketplace; it may be typed blank): `start` and `finish` get that instead of a
    shop, and `check` tells the store. `code` is what the callback calls its code.
    """

    start: Callable[[BaseModel, str, str, str], str]
    check: Callable[[BaseModel, Sequence[tuple[str, str]], datetime], str]
    finish: Callable[[BaseModel, Http, str, str, str, datetime], Awaitable[BaseModel]]
    place: Callable[[str], str] | None = None
    code: str = "code"
    begun_there: "BegunThere | None" = None
    asks: str = "Store address"  # what the seller is to type


@dataclass(frozen=True)
class BegunThere:
    """A sign-in that begins at the vendor (its app store), which sends the browser to us first.

    `place(app, query)` → the place it is about; `go_back(app, query, state, redirect_uri)` → the URL to send the
    browser back to. Both raise Invalid for a query that does not lead back to the vendor.
    """

    place: Callable[[BaseModel, Sequence[tuple[str, str]]], str]
    go_back: Callable[[BaseModel, Sequence[tuple[str, str]], str, str], str]


@dataclass(frozen=True)
class ChannelVendor:
    """A sales channel, declared.

    `credentials` is the pydantic model stored (encrypted) per store; it also draws the connect form where a seller
    may paste credentials. `app_settings` is a pydantic model of the app's own keys, filled from settings named
    `SHIPCROWD_<SLUG>_<FIELD>`. `expires_at(credentials)` says when they must be renewed (None: never);
    `await renew(app, http, external_id, credentials, now)` does it.
    """

    slug: str
    name: str
    credentials: type[BaseModel]
    app_settings: type[BaseModel]
    open: Callable[[StoreAccount], SalesChannel]
    webhooks: ChannelWebhooks
    webhook_secrets: Callable[[BaseModel, BaseModel], Sequence[str]]  # (app, credentials) → secrets to try
    sign_in: SignIn | None = None
    pasted: bool = True  # a seller may paste credentials instead of signing in
    asks: str = "Store address"  # what is to be typed beside pasted credentials
    expires_at: Callable[[BaseModel], datetime | None] = lambda credentials: None
    renew: Callable[[BaseModel, Http, str, BaseModel, datetime], Awaitable[BaseModel]] | None = None
    overlap: timedelta = timedelta(minutes=15)  # how far a sweep looks back behind its mark
    sweep_every: timedelta = timedelta(minutes=15)
    paces: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """operation → (bucket capacity, refill per second)."""
    store_id: Callable[[str], str] = lambda typed: typed.strip().lower()
    """What the seller typed → the store's external id; raises Invalid with the fix."""
    lapses_at: Callable[[BaseModel], datetime | None] = lambda credentials: None
    """When the seller must have signed in again, however often the credentials were renewed until then."""
    mailbox: Callable[[BaseModel], Mailbox | None] = lambda app: None
    """The queue the vendor writes to, of the app's settings. Its messages are read by `webhooks`, without headers."""
