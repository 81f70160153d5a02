"""What a sales channel must be able to do for us, and what it may do besides.

Each ability is a Protocol of its own, asked with `isinstance`. Every method raises only the four outside failures
of `kernel.outbound`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from pydantic import BaseModel

from shipcrowd.channels.app_contract import OwnKeys, SignIn
from shipcrowd.channels.returns_contract import ReturnTouched
from shipcrowd.couriers.contract import Courier
from shipcrowd.kernel.mailbox import Mailbox
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Http, Json
from shipcrowd.orders.schemas import Fulfilment, IncomingOrder


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
    """Orders of one page, oldest change (or placing) first. `through`: everything changed (placed) by then was seen."""

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
    courier: str = ""  # the slug of ours it was booked with


@dataclass(frozen=True)
class StockLevel:
    """How many of a thing may be sold. `sku` and `external_product_id` as its listing has them, where it is known."""

    external_variant_id: str
    location: str
    available: int
    sku: str | None = None
    external_product_id: str | None = None


@dataclass(frozen=True)
class StockRefusal:
    """A level that was not taken. `location` None: at none of the places it was given for."""

    external_variant_id: str
    code: str
    message: str
    location: str | None = None


@dataclass(frozen=True)
class FeedTicket:
    """The channel took the levels as a file and will report later; the file does not hold the `refusals`.

    Not `started`: it lies there, and is worked off when `StartsFeeds.start_feed` has asked for it.
    """

    reference: str
    refusals: tuple[StockRefusal, ...] = ()
    started: bool = True


class FeedStep(StrEnum):
    under_way = "under_way"
    done = "done"
    failed = "failed"


@dataclass(frozen=True)
class FeedState:
    """Where a file stands. Done: all of it was taken but for the `refusals`. Failed: none of it was, for `reason`."""

    step: FeedStep
    refusals: tuple[StockRefusal, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class MarketplaceLevel:
    """What a marketplace holds of the seller's in its own warehouses, in units. `as_of`: when it counted, where it
    says. `details`: its finer figures under its own names; no words about people."""

    sku: str
    sellable: int
    inbound: int = 0
    reserved: int = 0
    unfulfillable: int = 0
    location: str = ""
    external_variant_id: str | None = None
    external_product_id: str | None = None
    as_of: datetime | None = None
    details: Mapping[str, int | str] = field(default_factory=dict[str, int | str])


@dataclass(frozen=True)
class Listing:
    """A thing on sale at the channel, for mapping to our SKUs. `fulfilment`: who ships it, where the channel says."""

    external_variant_id: str
    external_product_id: str
    sku: str | None
    title: str
    price: Money | None = None
    barcode: str | None = None
    hsn: str | None = None
    weight_grams: int | None = None
    stock_id: str | None = None
    fulfilment: Fulfilment | None = None


@dataclass(frozen=True)
class ReadyParcel:
    """A packed parcel that waits for the marketplace's courier. `courier_shipment_id` is what booking it gave."""

    reference: str  # our shipment's id
    order_ref: str
    awb: str
    courier_shipment_id: str | None = None


@dataclass(frozen=True)
class ParcelRefusal:
    reference: str
    code: str
    message: str


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
    async def set_stock(
        self, levels: Sequence[StockLevel], *, singly: bool = False
    ) -> Sequence[StockRefusal] | FeedTicket:
        """Make the channel's stock match: absolute numbers, at most `ChannelVendor.stock_batch`; safe to repeat.

        `singly`: not as a file, for a file with these failed as a whole. Raises Refused only for what refuses them
        all; what is wrong with one of them is a StockRefusal.
        """
        ...


@runtime_checkable
class FollowsFeeds(Protocol):
    async def feed(self, reference: str) -> FeedState:
        """What became of a `FeedTicket`. Raises Refused where the channel knows no such file (any more)."""
        ...


@runtime_checkable
class StartsFeeds(Protocol):
    """A channel that makes another file of each asking: it is asked once our own row says that it is."""

    async def start_feed(self, reference: str, *, asked_at: datetime | None, known: Collection[str]) -> str:
        """Have a file that lies there worked off; what it goes by from now on. `asked_at`: it was asked for then, and
        nobody knows whether that was heard. Then the channel's files made since are looked through first, but for
        the `known` ones. Raises Refused where the file will never be worked off."""
        ...


@runtime_checkable
class ListsProducts(Protocol):
    def listings(self) -> AsyncIterator[Sequence[Listing]]:
        """Everything on sale there, in pages."""
        ...


@runtime_checkable
class ReportsMarketplaceStock(Protocol):
    def marketplace_stock(self) -> AsyncIterator[Sequence[MarketplaceLevel]]:
        """Everything in the marketplace's own warehouses, in pages. What is there is never pushed by us."""
        ...


@runtime_checkable
class MarksDispatched(Protocol):
    async def ready_to_dispatch(self, parcels: Sequence[ReadyParcel]) -> Sequence[ParcelRefusal]:
        """Say that these are packed and may be picked up, at most `ChannelVendor.dispatch_batch`; those not taken.
        Safe to repeat."""
        ...


@dataclass(frozen=True)
class PriceChange:
    """`selling` is what a buyer pays for one, `mrp` the printed price; None leaves it."""

    external_variant_id: str
    selling: Money
    mrp: Money | None = None


@runtime_checkable
class SetsPrices(Protocol):
    async def set_prices(self, changes: Sequence[PriceChange]) -> Sequence[StockRefusal]:
        """Those that were not taken, with the channel's reason."""
        ...


@runtime_checkable
class EditsDispatch(Protocol):
    async def corrected(self, order_ref: str, dispatch: Dispatch) -> str | None:
        """What the channel was told of this parcel was wrong; its id for the parcel. Safe to repeat. A channel without
        this is told again after the dispatch was withdrawn."""
        ...


@runtime_checkable
class ChangesDeliveryDate(Protocol):
    async def rescheduled(self, dispatch_ref: str, expected: datetime) -> None:
        """A parcel the channel was told of is expected on another day."""
        ...


@runtime_checkable
class CancelsOrders(Protocol):
    async def cancel_order(self, order_ref: str, reason: str) -> FeedTicket | None:
        """Cancel the whole order there. An order that is cancelled there already is no error. A ticket where the
        channel took it as a file and will answer later."""
        ...


@runtime_checkable
class FollowsCancellations(Protocol):
    async def cancellation(self, ticket: FeedTicket) -> bool:
        """Whether what `cancel_order` gave the ticket for is done; False while it is worked on. Raises Refused where
        the order was not cancelled."""
        ...


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
class FeedFinished:
    """The file of a `FeedTicket` has been worked off, however it went."""

    reference: str


@dataclass(frozen=True)
class MarketplaceStockChanged:
    """Something moved in the marketplace's own warehouses: read them afresh."""


@dataclass(frozen=True)
class ListingsReady:
    """All that is on sale can be read now: what the channel was asked to write down for that is written."""


@dataclass(frozen=True)
class NothingToDo:
    """Understood, and of no consequence to us (an unknown topic, a product change)."""

    topic: str


ChannelEvent = (
    OrderChanged
    | OrderTouched
    | ReturnTouched
    | StoreLeft
    | PrivacyAsk
    | FeedFinished
    | MarketplaceStockChanged
    | ListingsReady
    | NothingToDo
)

PATH_TOPIC = "x-path-topic"
"""The header a reader finds the last part of `/webhooks/{vendor}/{store}/{topic}` in; set by us, never taken from
outside."""


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


# --- accounts -------------------------------------------------------------------------------------


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
    hurry: Callable[[str, int], Awaitable[None]] | None = None
    """As `pace`, for what a person waits for: may also use the share kept for that (`ChannelVendor.reserve`)."""


@dataclass(frozen=True)
class ChannelVendor:
    """A sales channel, declared.

    `credentials` is the pydantic model stored (encrypted) per store; it also draws the connect form where a seller
    may paste credentials. `app_settings` is a pydantic model of the app's own keys, filled from settings named
    `SHIPCROWD_<SLUG>_<FIELD>` (and `public_url` from ours). `expires_at(credentials)` says when they end (None:
    never); `await renew(app, http, external_id, credentials, now)` gets others. What a seller pastes may have ended
    from the start: then it is only the means to get a token, and is renewed before it is tried.
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
    renew_at: Callable[[BaseModel], datetime | None] | None = None
    """When they are to be renewed; by default a few minutes before they end."""
    overlap: timedelta = timedelta(minutes=15)  # how far a sweep looks back behind its mark
    sweep_every: timedelta = timedelta(minutes=15)
    paces: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """operation → (bucket capacity, refill per second)."""
    stock_batch: int = 250  # levels one `set_stock` takes
    stock_by_sku: bool = False  # the SKU is what stock is set by there: it is the variant's id
    webhooks_by_store: bool = False  # their address ends with the store's id there, not with the connection's
    keeps_no_trace_of: frozenset[Milestone] = frozenset()
    """What `moved` leaves no trace of there, so that nobody can look whether it was heard: told at most once."""
    dispatch_batch: int = 25  # parcels one `ready_to_dispatch` takes
    reserve: float = 0.0
    """The share of every pace that is kept for what a person waits for (`StoreAccount.hurry`)."""
    couriers: Mapping[str, Callable[[StoreAccount], Courier]] = field(
        default_factory=dict[str, Callable[[StoreAccount], Courier]]
    )
    """The marketplace's couriers, by slug, opened with the store's account (`CourierVendor.channel`)."""
    store_id: Callable[[str], str] = lambda typed: typed.strip().lower()
    """What the seller typed → the store's external id; raises Invalid with the fix."""
    lapses_at: Callable[[BaseModel], datetime | None] = lambda credentials: None
    """When the seller must have signed in again, however often the credentials were renewed until then."""
    mailbox: Callable[[BaseModel], Mailbox | None] = lambda app: None
    """The queue the vendor writes to, of the app's settings. Its messages are read by `webhooks`, without headers."""
    own_keys: OwnKeys | None = None
