"""What goes into Flipkart's desk and comes out of it."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from shipcrowd.sandbox.schemas import Frozen


class Kind(StrEnum):
    standard_prepaid = "standard_prepaid"
    standard_cod = "standard_cod"
    self_ship = "self_ship"
    on_hold = "on_hold"  # until it is released
    partly_cancelled = "partly_cancelled"  # two lines; the buyer cancelled a part of the first
    fbf = "fbf"  # Flipkart's own warehouse ships it


class ReturnSource(StrEnum):
    customer_return = "customer_return"  # the buyer sends it back after delivery
    courier_return = "courier_return"  # it came back undelivered


# --- in -------------------------------------------------------------------------------------------------------


class NewLocation(Frozen):
    name: str = Field(default="Main warehouse", min_length=1, max_length=80)
    city: str = "Bengaluru"
    state: str = "Karnataka"
    state_code: str = "IN-KA"
    pincode: str = "560058"


class NewSeller(Frozen):
    name: str = Field(default="Asha Crafts", min_length=1, max_length=80)
    locations: tuple[NewLocation, ...] = Field(default=(NewLocation(),), min_length=1, max_length=20)
    stock: int = Field(default=100, ge=0)  # of each listing at the first location


class NewItem(Frozen):
    sku: str  # of the seller's listings; another one is listed on the spot, without locations
    quantity: int = Field(default=1, ge=1, le=999)
    price: str | None = None  # rupees a unit; the listing's where left out
    shipping: str = "40.00"  # rupees for the line
    discount: str = "0"  # rupees off the line, borne by Flipkart
    group: int | None = None  # items with the same number share a cancellation group
    replacement: bool = False


class NewShipment(Frozen):
    """A shipment to place. What is left out is drawn from invented buyers and goods."""

    kind: Kind = Kind.standard_prepaid
    items: tuple[NewItem, ...] = Field(default=(), max_length=50)
    location_id: str | None = None  # the seller's first where left out
    order_id: str | None = None  # of an order that has other shipments already
    express: bool = False
    mps: bool = False
    pincode: str | None = None
    placed_at: datetime | None = None
    dispatch_after: datetime | None = None
    dispatch_by: datetime | None = None
    form: str | None = None  # packing stops until this way-bill form is acknowledged
    quoted_sku: bool = False  # SKU and FSN come wrapped in &quot;
    silent: bool = False  # no notification


class Many(Frozen):
    """A stock of shipments at once, without notifications."""

    count: int = Field(ge=1, le=20_000)
    kinds: tuple[Kind, ...] = Field(default=(Kind.standard_prepaid, Kind.standard_cod), min_length=1)
    over_hours: float = Field(default=24, ge=0, le=24 * 60)  # ordered and changed at even distances, ending now


class Cancellation(Frozen):
    """`quantities` maps SKU to how many units; empty means all of the shipment."""

    quantities: dict[str, int] = Field(default_factory=dict[str, int])
    by: Literal["buyer", "marketplace"] = "buyer"
    reason: str = "changed_mind"
    sub_reason: str | None = None


class Hold(Frozen):
    quantities: dict[str, int] = Field(default_factory=dict[str, int])  # SKU → units held; empty means all


class Dates(Frozen):
    dispatch_after: datetime | None = None
    dispatch_by: datetime | None = None


class NewReturn(Frozen):
    """Opened for one line: `sku`, or the first live one where left out."""

    source: ReturnSource = ReturnSource.customer_return
    sku: str | None = None
    quantity: int | None = Field(default=None, ge=1)
    action: Literal["refund", "replace"] = "refund"
    reason: str = "DEFECTIVE_PRODUCT"
    sub_reason: str = "Stopped working"
    comments: str = ""


class NotificationTarget(Frozen):
    """Where a seller's notifications go, and how they are signed. Registered by hand; there is no API for it."""

    url: str
    signing: Literal["fklogin", "hmac", "both", "none"] = "fklogin"
    own_app: bool = False  # FKLOGIN by the seller's own application instead of the partner's
    secret: str = ""  # for hmac
    hmac_as: Literal["hex", "base64", "prefixed"] = "hex"  # prefixed: sha256=…
    words: Literal["v3", "topics"] = "v3"  # topics: order.created and its like in place of v3's event types
    routes: bool = False  # to url + /order-placed, /order-cancelled, /return-initiated where an event has one
    returns: bool = True
    hyphens: bool = False  # X-Date for X_Date, as some proxies make of it


class RefuseItem(Frozen):
    """The next writes to this shipment fail, inside a 200."""

    code: str = "DEPENDENT_SYSTEM_CALL_FAILED"
    message: str = "Dependent system call failed, please retry"
    times: int = Field(default=1, ge=1, le=1000)


class ListingChange(Frozen):
    inventory: dict[str, int] | None = None  # by location id
    locations_missing: bool | None = None  # the API then shows no locations at all
    disabled: tuple[str, ...] | None = None  # location ids
    active: bool | None = None
    archived: bool | None = None


class KnobChange(Frozen):
    """Settings to change; what is None stays as it is."""

    access_token_seconds: int | None = Field(default=None, ge=1)
    refresh_token_seconds: int | None = Field(default=None, ge=1)
    refresh_returns: Literal["same", "new", "none"] | None = None  # the refresh token in the answer to a refresh
    per_second: int | None = Field(default=None, ge=0)  # calls of one seller; 0: no limit
    per_hour: int | None = Field(default=None, ge=0)
    page_size: int | None = Field(default=None, ge=1, le=25)
    drift: Literal["off", "touch", "leave"] | None = None
    """After each page some of its shipments change: they are touched, or put on hold and so leave the result."""
    drift_per_page: int | None = Field(default=None, ge=1, le=20)
    pack_seconds: float | None = Field(default=None, ge=0, le=3600)
    pack_fails: float | None = Field(default=None, ge=0, le=1)  # how likely one packing ends in FORM_FAILED
    label_hours: float | None = Field(default=None, gt=0, le=24 * 30)
    expire_labels: bool | None = None  # after label_hours a label must be asked for with reprint=true
    dialect: Literal["usual", "other"] | None = None
    personal_data: Literal["absent", "masked"] | None = None  # of buyers of what Flipkart ships
    partial_cancel: Literal["reduced", "split"] | None = None
    otc_unavailable: bool | None = None
    partner_codes: tuple[str, ...] | None = None


# --- out ------------------------------------------------------------------------------------------------------


class LocationView(Frozen):
    id: str
    name: str
    pincode: str


class SellerView(Frozen):
    id: str
    name: str
    app_id: str  # of the seller's own application
    app_secret: str
    locations: tuple[LocationView, ...]
    approved: bool
    shipments: int
    returns: int
    notified_at: str | None


class ItemView(Frozen):
    id: str
    sku: str
    quantity: int
    status: str
    customer_price: str


class ShipmentView(Frozen):
    id: str
    seller_id: str
    order_id: str
    location_id: str
    kind: str  # NORMAL, EXPRESS, SELF
    fbf: bool
    status: str
    hold: bool
    updated_at: datetime
    dispatch_by: datetime
    to_collect: str  # rupees; 0 for prepaid
    items: tuple[ItemView, ...]
    awb: str | None
    courier: str | None
    label_until: datetime | None


class ReturnView(Frozen):
    id: str
    shipment_id: str
    order_item_id: str
    source: ReturnSource
    quantity: int
    status: str
    shipment_status: str
    awb: str | None


class ListingView(Frozen):
    sku: str
    fsn: str
    listing_id: str
    mrp: int
    selling_price: int
    stock: dict[str, int] | None
    pending: dict[str, int]


class TrafficView(Frozen):
    """What one seller's store asked of the API. Windows slide: (t - 1 s, t] and (t - 1 h, t]."""

    requests: int
    refused: int  # with 429
    most_in_a_second: int
    most_in_an_hour: int
    over_limit: bool  # whether a limit was ever passed


class FlipkartStats(Frozen):
    sellers: int
    shipments: int
    shipments_by_status: dict[str, int]
    returns_by_status: dict[str, int]
    traffic: dict[str, TrafficView]  # by seller
    most_in_a_second: int
    most_in_an_hour: int
    over_limit: bool
