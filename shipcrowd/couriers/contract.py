"""What a courier must be able to do for us, and what it may do besides.

`Courier` is the minimum. Each further ability is a Protocol of its own, had by implementing it and asked with
`isinstance`, so that what a courier claims cannot drift from what it does. Every method raises only the four
outside failures of `kernel.outbound`. Weights are grams, lengths millimetres, money `Money`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from pydantic import BaseModel

from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Http, Json
from shipcrowd.pincodes.address import Address


class Flow(StrEnum):
    forward = "forward"
    reverse = "reverse"  # picked up at the buyer's, brought to the seller


class Payment(StrEnum):
    cod = "cod"
    prepaid = "prepaid"


class Mode(StrEnum):
    surface = "surface"
    air = "air"


class Progress(StrEnum):
    """Where a parcel is, in one vocabulary for all couriers. `shipping.models` says which moves are legal."""

    pickup_pending = "pickup_pending"
    pickup_failed = "pickup_failed"
    picked_up = "picked_up"
    in_transit = "in_transit"
    out_for_delivery = "out_for_delivery"
    delivered = "delivered"
    delivery_failed = "delivery_failed"  # an NDR
    rto_initiated = "rto_initiated"
    rto_in_transit = "rto_in_transit"
    rto_out_for_delivery = "rto_out_for_delivery"
    rto_delivered = "rto_delivered"
    cancelling = "cancelling"  # asked for, and not yet sure: the parcel may still travel
    cancelled = "cancelled"
    lost = "lost"
    damaged = "damaged"


@dataclass(frozen=True)
class Parcel:
    """What a courier must know to say whether and how it would carry something.

    Nobody is named in it: a courier that asks for whole addresses to price a lane gets towns. `sold_at` is the channel
    the order comes from and `order_external_id` its id there, for a marketplace's couriers.
    """

    from_pincode: str
    to_pincode: str
    weight_grams: int
    length_mm: int
    breadth_mm: int
    height_mm: int
    payment: Payment
    declared_value: Money
    to_collect: Money = Money.zero
    flow: Flow = Flow.forward
    from_city: str = ""
    from_state: str = ""
    to_city: str = ""
    to_state: str = ""
    sold_at: str = ""
    order_external_id: str | None = None


@dataclass(frozen=True)
class ServiceOffer:
    """One service of a courier that would carry the parcel. `service` is the id `book` takes back."""

    service: str
    name: str
    carrier: str  # who really carries it: "Delhivery", "Bluedart"
    mode: Mode = Mode.surface
    min_days: int | None = None
    max_days: int | None = None
    zone: str | None = None  # the courier's own opinion, "a".."e"; ours comes from ratecards
    cost: Money | None = None  # what the courier will charge *us*, where it says so


@dataclass(frozen=True)
class BookingLine:
    name: str
    sku: str
    units: int
    unit_price: Money
    discount: Money = Money.zero
    tax: Money = Money.zero
    hsn: str | None = None
    external_id: str | None = None  # the channel's id of the order's line


@dataclass(frozen=True)
class PickupPoint:
    """A place parcels are picked up at or returned to. `registered_as` is its id at this courier, once it has one."""

    reference: str
    name: str
    address: Address
    contact: str
    gstin: str | None = None
    registered_as: str | None = None


@dataclass(frozen=True)
class BookingRequest:
    """A parcel to be booked. `reference` is our shipment's id: the same reference means the same booking."""

    reference: str
    order_number: str
    ordered_at: datetime
    service: str
    flow: Flow
    payment: Payment
    to_collect: Money
    declared_value: Money
    ship_from: PickupPoint
    return_to: PickupPoint
    ship_to: Address
    lines: tuple[BookingLine, ...]
    weight_grams: int
    length_mm: int
    breadth_mm: int
    height_mm: int
    order_external_id: str | None = None  # the channel's id of the order: what a marketplace's own courier packs
    sold_at: str = ""  # the channel it was sold at


@dataclass(frozen=True)
class Booking:
    """What the courier gave us. `label_pdf` is stored untouched; with `label_url` alone it is fetched later."""

    awb: str
    carrier: str
    courier_order_id: str | None = None
    courier_shipment_id: str | None = None
    routing_code: str | None = None
    rto_routing_code: str | None = None
    label_url: str | None = None
    label_pdf: bytes | None = None
    manifest_url: str | None = None
    pickup_date: date | None = None
    pickup_token: str | None = None
    charged: Money | None = None  # what the courier says it will charge us, before tax
    applied_weight_grams: int | None = None
    raw: Json = None


@dataclass(frozen=True)
class CancelResult:
    """`accepted` means the courier took the request; tracking confirms it."""

    awb: str
    accepted: bool
    message: str = ""


@dataclass(frozen=True)
class Scan:
    """One thing that happened to a parcel. `progress` is None where the courier's status is unknown to us:
    then it is kept, counted, and moves nothing.

    `seen`: the courier tells what is so now and not since when. `at` is then when we looked, and the same status
    again is no news.
    """

    at: datetime
    status: str  # the courier's own word
    progress: Progress | None
    flow: Flow = Flow.forward
    location: str = ""
    remark: str = ""
    raw: Json = None
    seen: bool = False


@dataclass(frozen=True)
class Pod:
    """Proof of delivery, as far as the courier gives it."""

    receiver: str | None = None
    image_url: str | None = None
    signature_url: str | None = None


@dataclass(frozen=True)
class TrackingReply:
    """What the courier knows of one AWB. `error` is set, and `scans` empty, where it knows nothing."""

    awb: str
    scans: tuple[Scan, ...] = ()
    courier_order_id: str | None = None
    reference: str | None = None  # our reference, where the courier repeats it
    error: str | None = None
    pod: Pod | None = None
    track_url: str | None = None


@runtime_checkable
class Courier(Protocol):
    async def offers(self, parcel: Parcel) -> Sequence[ServiceOffer]:
        """The services that would carry this parcel; empty when the lane is not served."""
        ...

    async def book(self, request: BookingRequest) -> Booking:
        """Book and get an AWB. Same reference, same booking, where the courier can."""
        ...

    async def cancel(self, awbs: Sequence[str]) -> Sequence[CancelResult]: ...

    async def scans(self, awbs: Sequence[str]) -> Mapping[str, TrackingReply]:
        """The history of each AWB, oldest scan first. An AWB missing from the answer was not answered for."""
        ...


@runtime_checkable
class BooksReturns(Protocol):
    async def book_return(self, request: BookingRequest) -> Booking:
        """Have the parcel picked up at `ship_to` (the buyer's) and brought to `return_to`."""
        ...


@runtime_checkable
class RegistersPickupPoints(Protocol):
    async def register_pickup_point(self, point: PickupPoint) -> str:
        """Make the place known to the courier; its id there. Raises Refused with the courier's reason."""
        ...


@runtime_checkable
class RequestsPickup(Protocol):
    async def request_pickup(self, point: PickupPoint, on: date, parcels: int) -> str | None:
        """Ask for a visit; the courier's token, where it gives one."""
        ...


@dataclass(frozen=True)
class LabelUnderWay:
    """The label is being made: ask again in `seconds`, and with this `url` in place of the one asked with."""

    url: str
    seconds: float


@runtime_checkable
class FetchesLabels(Protocol):
    async def fetch_label(self, url: str) -> bytes | LabelUnderWay:
        """The label PDF behind `Booking.label_url`. The host is checked against the courier's own."""
        ...


class Paper(StrEnum):
    """A paper of a parcel that its courier, a marketplace's, makes besides the label."""

    invoice = "invoice"  # to the buyer, numbered by the marketplace
    bare_label = "bare-label"  # the label alone, where the label comes with the invoice behind it
    forms = "forms"  # what a state wants filled in before the parcel may go


@runtime_checkable
class GivesPapers(Protocol):
    """A courier whose `CourierVendor.papers` says which."""

    async def paper(self, kind: Paper, shipment: str) -> bytes:
        """One paper as PDF. `shipment` is `Booking.courier_shipment_id`, or, for what was not booked yet, the channel's
        id of its order. Raises Refused where there is none."""
        ...


@dataclass(frozen=True)
class FilledForm:
    """A form of a state that was filled in there, and the number it got."""

    name: str
    number: str


FORMS_NEEDED = "forms_needed"
"""The code of a `book` refused because a state's forms are missing."""


@runtime_checkable
class TakesForms(Protocol):
    async def forms_done(self, shipment: str, filled: Sequence[FilledForm]) -> None:
        """The forms without which `book` is refused (`FORMS_NEEDED`) were filled in. `shipment` as for a paper."""
        ...


@runtime_checkable
class TracksByItsOwnId(Protocol):
    async def scans_of(self, shipments: Mapping[str, str]) -> Mapping[str, TrackingReply]:
        """As `scans`, for a courier that does not find a parcel by its AWB: AWB → `Booking.courier_shipment_id`."""
        ...


@runtime_checkable
class CancelsByItsOwnId(Protocol):
    async def cancel_shipments(self, shipments: Mapping[str, str]) -> Sequence[CancelResult]:
        """As `cancel`, for a courier that does not find a parcel by its AWB: AWB → `Booking.courier_shipment_id`."""
        ...


@dataclass(frozen=True)
class HandOver:
    """Parcels of one carrier that wait at a place, which goes by the courier's id. `code` is what its driver has to be
    told, where there is one."""

    place: str
    carrier: str
    parcels: int
    multi_package: bool = False
    pickup_from: datetime | None = None
    pickup_to: datetime | None = None
    code: str | None = None


@runtime_checkable
class HandsOver(Protocol):
    """A courier that keeps the list of what waits for it."""

    async def hand_overs(self, shipments: Sequence[str]) -> Sequence[HandOver]:
        """What waits at the places where these parcels are (`Booking.courier_shipment_id`), by place and carrier."""
        ...

    async def manifest_pdf(self, hand_over: HandOver) -> bytes:
        """The list its driver signs. Raises Refused while nothing waits."""
        ...


@dataclass(frozen=True)
class NotPrepared:
    """A booking that cannot be made, with the courier's reason. `reference` as in `BookingRequest`."""

    reference: str
    code: str
    message: str


@runtime_checkable
class PreparesTogether(Protocol):
    async def prepare(self, requests: Sequence[BookingRequest]) -> Sequence[NotPrepared]:
        """Do at once for many (at most `CourierVendor.together`) what takes long at booking each. Those that cannot be
        booked, each for itself; every other is booked as ever afterwards. Safe to repeat."""
        ...


@runtime_checkable
class Reattempts(Protocol):
    async def reattempt(self, awb: str, on: date | None, note: str) -> None: ...


@runtime_checkable
class ReportsTotals(Protocol):
    async def totals(self, start: datetime, end: datetime, flow: Flow) -> Mapping[str, int]:
        """Parcels by the courier's own summary bucket in a period, for reconciling counts."""
        ...


@runtime_checkable
class TestsConnection(Protocol):
    async def check(self) -> None:
        """Raises Disconnected when the credentials do not work."""
        ...


ABILITIES: tuple[tuple[str, type], ...] = (
    ("tests_connection", TestsConnection),
    ("registers_pickup_points", RegistersPickupPoints),
    ("requests_pickup", RequestsPickup),
    ("fetches_labels", FetchesLabels),
    ("gives_papers", GivesPapers),
    ("takes_forms", TakesForms),
    ("books_returns", BooksReturns),
    ("reattempts", Reattempts),
    ("reports_totals", ReportsTotals),
)
"""What a courier may do besides the minimum, by the name it is shown under."""


@dataclass(frozen=True)
class CourierEvent:
    """What one courier webhook says: news of one AWB. `weight_grams` where it reports a scanned weight."""

    awb: str
    scans: tuple[Scan, ...] = ()
    reference: str | None = None
    pod: Pod | None = None
    weight_grams: int | None = None
    raw: Json = None


class CourierWebhooks(Protocol):
    def verify(self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Raises Unauthenticated unless the raw body was signed with `secret`. Header keys are lower case."""
        ...

    def delivery_id(self, headers: Mapping[str, str], body: bytes) -> str:
        """What makes two deliveries the same delivery."""
        ...

    def topic(self, headers: Mapping[str, str], body: bytes) -> str: ...

    def read(self, topic: str, body: bytes) -> list[CourierEvent]:
        """Raises Malformed."""
        ...


@dataclass
class CourierAccount:
    """One account at a courier, opened: its credentials and the wire to reach it.

    `await remember(credentials)` stores changed credentials (a renewed token); two processes may both do it.
    """

    key: str  # stable id of the account, for pacing
    credentials: BaseModel
    http: Http
    remember: Callable[[BaseModel], Awaitable[None]] | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    pace: Callable[[str], Awaitable[None]] | None = None
    """`await pace(operation)` waits for its turn in the account's shared bucket (see `CourierVendor.paces`), before
    anything of the operation was sent: in a job, a long wait puts the job back."""


@dataclass(frozen=True)
class CourierVendor:
    """A courier, declared. `credentials` also draws the connect form; its secret fields are `SecretStr`."""

    slug: str
    name: str
    credentials: type[BaseModel]
    open: Callable[[CourierAccount], Courier]
    """Opening calls nobody; the first method called does."""
    login: Callable[[BaseModel], str] | None = None
    """What tells one account at the courier from another (its user name); None where a company has but one."""
    webhooks: CourierWebhooks | None = None
    carries_charge: bool = True  # False: no freight charge and no wallet hold (manual, marketplace couriers)
    tracked: bool = True  # False: nobody tells us how its parcels fare; people do
    marketplace: bool = False
    """A marketplace's own courier: its accounts are the company's stores of the channel of that name, and it carries
    orders of its own store only, which no other courier does."""
    stores_of: str | None = None
    """The channel whose stores are its accounts, for a marketplace's courier that carries other orders too."""
    cancelled_with_order: bool = False  # its parcel is cancelled by cancelling the order at its channel
    own_label: bool = False  # its parcels travel under its own label: ours is never printed in its stead
    label_hours: int | None = None  # a label is good this long, and is fetched again before
    shared: bool = False  # True: the platform's own account serves every company that has none of its own
    repeatable: bool = False
    """Booking once more finds what the first time made: a booking that was cut short is simply made again."""
    papers: frozenset[Paper] = frozenset()  # what it makes besides the label (`GivesPapers`)
    keeps_list: bool = False  # it keeps the list of what waits for it (`HandsOver`)
    together: int = 0  # bookings that one call prepares, where many are made at once (`PreparesTogether`)
    tracking_batch: int = 50
    cancel_batch: int = 50
    paces: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """operation → (calls, seconds) the vendor allows."""

    @property
    def channel(self) -> str | None:
        """The channel whose stores are its accounts; None for a courier with accounts of its own."""
        return self.slug if self.marketplace else self.stores_of
