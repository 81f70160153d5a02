"""What goes into Amazon's part of the desk and comes out of it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from shipcrowd.sandbox.amazon.state import INDIA, Poison
from shipcrowd.sandbox.schemas import Frozen

# --- in -------------------------------------------------------------------------------------------------------


class OrderKind(StrEnum):
    """The kinds of orders a seller in India meets."""

    prepaid = "prepaid"
    cod = "cod"
    easy_ship = "easy_ship"
    easy_ship_cod = "easy_ship_cod"
    fba = "fba"


class NewSeller(Frozen):
    """Left out, the id is drawn. The seller has the sandbox's goods in stock, some of them at Amazon."""

    name: str = "Asha Crafts"
    seller_id: str | None = Field(default=None, pattern=r"^A[A-Z0-9]{9,13}$")
    marketplaces: tuple[str, ...] = (INDIA,)
    stock: int = Field(default=100, ge=0)
    goods: int = Field(default=0, ge=0, le=50_000)  # so many more listings, SKU-00001 and on


class NewAmazonLine(Frozen):
    sku: str
    quantity: int = Field(default=1, ge=1)


class NewAmazonOrder(Frozen):
    """An order a buyer places. What is left out is drawn from invented buyers and the seller's listings."""

    kind: OrderKind = OrderKind.prepaid
    lines: tuple[NewAmazonLine, ...] = ()
    pending: bool = False  # until `release`
    personal_data: bool = True  # False: Amazon withholds buyer and recipient
    cancel_reason: str | None = None  # the buyer asks to cancel at once
    gift_card: str = "0"  # rupees of a COD order that are paid already
    shipping_fee: str = "0"
    prime: bool = False
    business: bool = False
    ship_plus: bool = False
    pincode: str | None = None
    reference: str | None = None
    broken: bool = False  # what the API says of it cannot be read, until `mend`
    placed_at: datetime | None = None


class StockChange(Frozen):
    """`quantity` of a seller's own listing, or of what FBA can fulfil. A SKU that is not there is listed first."""

    sku: str
    quantity: int = Field(ge=0)
    by_amazon: bool = False
    inbound: int | None = Field(default=None, ge=0)
    reserved: int | None = Field(default=None, ge=0)


class AmazonKnobChange(Frozen):
    """Settings to change; what is None stays as it is."""

    access_token_seconds: int | None = Field(default=None, ge=1)
    enforce_limits: bool | None = None
    search_lag_seconds: float | None = Field(default=None, ge=0, le=3600)
    listing_seconds: float | None = Field(default=None, ge=0, le=3600)
    feed_queue_seconds: float | None = Field(default=None, ge=0, le=3600)
    feed_work_seconds: float | None = Field(default=None, ge=0, le=3600)
    report_seconds: float | None = Field(default=None, ge=0, le=3600)
    document_url_seconds: int | None = Field(default=None, ge=1, le=3600)
    slot_seconds: int | None = Field(default=None, ge=0, le=86400)
    inventory_token_seconds: float | None = Field(default=None, ge=0, le=3600)
    cancellation: bool | None = None
    poison: Poison | None = None
    rates: dict[str, tuple[float, float]] | None = None


# --- out ------------------------------------------------------------------------------------------------------


class SellerView(Frozen):
    id: str
    name: str
    marketplaces: tuple[str, ...]
    participating: bool
    suspended: bool
    personal_data: bool
    connected: bool  # the product's application has the seller's word
    authorized_at: datetime | None
    orders: int
    listings: int
    subscriptions: tuple[str, ...]  # "ORDER_CHANGE → arn:…"


class PrivateApp(Frozen):
    """What a seller with an application of their own pastes into the product."""

    seller_id: str
    client_id: str
    client_secret: str
    refresh_token: str


class AmazonItemView(Frozen):
    id: str
    sku: str
    asin: str
    title: str
    quantity: int
    shipped: int
    unit_price: str
    cancel_reason: str | None


class AmazonPackageView(Frozen):
    reference: str
    carrier: str
    tracking: str
    status: str
    items: dict[str, int]


class AmazonOrderView(Frozen):
    id: str
    seller_id: str
    status: str
    kind: str  # "MERCHANT" or "AMAZON"
    programs: tuple[str, ...]
    cod: bool
    to_collect: str  # rupees
    total: str
    created_at: datetime
    updated_at: datetime
    pincode: str
    personal_data: bool
    cancel_requested: bool
    items: tuple[AmazonItemView, ...]
    packages: tuple[AmazonPackageView, ...]
    easy_ship_status: str | None
    easy_ship_tracking: str | None


class ListingView(Frozen):
    sku: str
    asin: str
    title: str
    by_amazon: bool
    quantity: int
    waiting: tuple[int | None, ...]  # quantities accepted and not shown yet
    lead_days: int | None
    inbound: int
    reserved: int


class FeedView(Frozen):
    id: str
    seller_id: str
    type: str
    status: str
    created_at: datetime
    result_document: str | None


class AmazonParcelView(Frozen):
    """A parcel of Amazon Shipping."""

    shipment_id: str
    tracking_id: str
    seller_id: str
    service: str
    order_id: str | None
    cod: str
    status: str
    events: tuple[str, ...]
    ndr: tuple[str, ...]
    cancelled: bool


class QueueView(Frozen):
    """An SQS queue of this machine, its dead-letter queue behind it, and where both are reached."""

    endpoint: str
    region: str
    url: str
    arn: str
    dead_letter_url: str
    dead_letter_arn: str


class AmazonStatsView(Frozen):
    sellers: int
    orders: int
    orders_by_status: dict[str, int]
    requests: dict[str, int]  # operation → calls, refused ones too
    overdrawn: dict[str, int]  # "seller operation" → calls beyond the usage plan
    feeds_by_status: dict[str, int]
    subscriptions: int
    notifications: dict[str, int]  # state → how many of those remembered
    parcels: int
