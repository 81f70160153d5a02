"""What the store endpoints take and give, and the settings a store has."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shipcrowd.connections import forms
from shipcrowd.couriers.contract import Progress
from shipcrowd.orders.schemas import Grams, Input, Millimetres


class StoreSettings(BaseModel):
    """How a store is read and told. Kept with its connection."""

    model_config = ConfigDict(extra="ignore")

    import_days: int = Field(default=30, ge=0, le=365, description="How far back orders are read at the first sweep")
    sweep_minutes: int | None = Field(
        default=None, ge=5, le=1440, description="How often the store is swept; null: as often as its channel suggests"
    )
    announce: bool = Field(default=True, description="Tell the store of parcels and how they fare")
    notify_buyer: bool = Field(default=True, description="Let the store write to the buyer when a parcel is booked")


class StoreSettingsChange(BaseModel):
    """Only what is given changes."""

    model_config = ConfigDict(extra="forbid")

    import_days: int | None = Field(default=None, ge=0, le=365)
    sweep_minutes: int | None = Field(default=None, ge=5, le=1440)
    announce: bool | None = None
    notify_buyer: bool | None = None


class ConnectStore(BaseModel):
    """Credentials pasted by the seller; the fields are those of the channel's form (`GET /integrations`)."""

    model_config = ConfigDict(extra="forbid")

    store: str = Field(min_length=1, max_length=300, description="The store's address or id, as typed")
    credentials: forms.Typed = Field(max_length=20)
    import_days: int = Field(default=30, ge=0, le=365)


class ChannelOut(BaseModel):
    """A sales channel a store can be connected from."""

    slug: str
    name: str
    sign_in: bool
    pasted: bool
    fields: list[forms.Field]


class HealthOut(BaseModel):
    """How a store fares. `level`: ok | attention | broken; `words` say why and what to do."""

    connection_id: UUID
    platform: str
    name: str
    level: str
    words: str
    lag_seconds: int | None
    last_sweep_at: datetime | None
    next_sweep_at: datetime | None
    last_webhook_at: datetime | None
    open_failures: int
    refused_announcements: int


class HealthOfAllOut(BaseModel):
    level: str
    stores: list[HealthOut]


class StoreOut(BaseModel):
    """A connected store."""

    id: UUID
    platform: str
    external_id: str
    name: str
    status: str
    reason: str
    connected_at: datetime
    orders_imported: int
    topics: list[str]
    missing_scopes: list[str]
    settings: StoreSettings
    health: HealthOut


class StoreDetailOut(StoreOut):
    """`abilities`: what the channel can do besides handing over orders."""

    abilities: list[str]
    webhook_url: str


class TestOut(BaseModel):
    """What came of a trial call. `ok` false: `problem` says what to do. `details`: what else the channel says of the
    store, such as the places its stock is counted at (`location.<id>`: name)."""

    ok: bool
    name: str | None = None
    external_id: str | None = None
    currency: str | None = None
    missing_scopes: list[str] = []
    details: dict[str, str] = {}
    problem: str | None = None


class SyncEntryOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    what: str
    started_at: datetime
    finished_at: datetime | None
    pages: int
    inserted: int
    updated: int
    unchanged: int
    failed: int
    error: str


class FailedItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    connection_id: UUID
    external_id: str
    reason: str
    times: int
    failed_at: datetime
    resolved_at: datetime | None


class FailedItemDetailOut(FailedItemOut):
    raw: Any


class DeliveryOut(BaseModel):
    """One webhook delivery, without its body."""

    id: UUID
    topic: str
    delivery_id: str
    received_at: datetime
    handled_at: datetime | None
    outcome: str
    note: str


class AnnouncementOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    connection_id: UUID
    shipment_id: UUID
    order_ref: str
    state: str
    last_milestone: str | None
    last_error: str
    failures: int
    created_at: datetime
    sent_at: datetime | None


class Accepted(BaseModel):
    """It was put in the queue. `follow`: where to see what came of it."""

    accepted: bool = True
    follow: str | None = None


class Replaying(Accepted):
    """So many failed items were put in the queue."""

    items: int


class SyncStatusOut(BaseModel):
    """How far a store has been read, and what is on its way to it. `sweeping`: it is being read just now."""

    store: HealthOut
    sweeping: bool
    swept_through: datetime | None
    orders_imported: int
    stock_pushes_open: int
    listings_read_at: datetime | None
    marketplace_stock_read_at: datetime | None
    marketplace_stock_error: str
    latest: list[SyncEntryOut]


# --- stock ----------------------------------------------------------------------------------------------------------


class StockLevelIn(Input):
    """How many of a thing may be sold, in absolute numbers. It is named by the channel's id of it
    (`external_variant_id`) or by a SKU one of the store's listings has."""

    external_variant_id: str | None = Field(default=None, min_length=1, max_length=200)
    sku: str | None = Field(default=None, min_length=1, max_length=200)
    location: str = Field(default="", max_length=200, description="The channel's id of the place, where it has places")
    available: int = Field(ge=0, le=100_000_000)


class PushStock(Input):
    """Of several levels for one thing and place the last counts."""

    levels: tuple[StockLevelIn, ...] = Field(min_length=1, max_length=25_000)


class StockPushOut(BaseModel):
    """A push and its items counted by state. `state`: queued | sending | waiting (for the channel's report) | done."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    connection_id: UUID
    state: str
    total: int
    queued: int
    waiting: int
    accepted: int
    refused: int
    superseded: int
    unknown: int
    asked_by: str
    created_at: datetime
    finished_at: datetime | None


class StockPushAccepted(StockPushOut):
    """It was put in the queue. `follow`: where to see what came of it."""

    follow: str


class StockItemOut(BaseModel):
    """One level and what became of it: queued | waiting | accepted | refused (`code`, `reason`) | superseded |
    unknown."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    external_variant_id: str | None
    sku: str | None
    location: str
    available: int
    state: str
    code: str | None
    reason: str | None
    ended_at: datetime | None


class StockPushDetailOut(StockPushOut):
    """A push with a page of its items, in the order given."""

    items: list[StockItemOut]
    next: str | None


class PriceIn(Input):
    """What a buyer pays for one thing, named as in a stock level. `mrp_paise`: the printed price; left as it is where
    it is left out."""

    external_variant_id: str | None = Field(default=None, min_length=1, max_length=200)
    sku: str | None = Field(default=None, min_length=1, max_length=200)
    selling_paise: int = Field(gt=0, le=100_000_000_00)
    mrp_paise: int | None = Field(default=None, gt=0, le=100_000_000_00)


class SetPrices(Input):
    prices: tuple[PriceIn, ...] = Field(min_length=1, max_length=50)


class PriceOutcomeOut(BaseModel):
    """`state`: accepted, or refused with `code` and the store's `reason`."""

    external_variant_id: str | None
    sku: str | None
    state: str
    code: str | None
    reason: str | None


class PricesSetOut(BaseModel):
    accepted: int
    refused: int
    prices: list[PriceOutcomeOut]


class MarketplaceStockOut(BaseModel):
    """Units of a SKU in the marketplace's own warehouse, as it counts them."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    sku: str
    location: str
    external_variant_id: str | None
    external_product_id: str | None
    sellable: int
    inbound: int
    reserved: int
    unfulfillable: int
    details: dict[str, Any]
    as_of: datetime | None
    seen_at: datetime
    gone_at: datetime | None


class ListingOut(BaseModel):
    """A thing on sale at the store."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    external_variant_id: str
    external_product_id: str
    sku: str | None
    title: str
    price_paise: int | None
    barcode: str | None
    hsn: str | None
    weight_grams: int | None
    fulfilment: str | None
    seen_at: datetime
    gone_at: datetime | None


# --- parcels and orders at the store --------------------------------------------------------------------------------


class Measured(Input):
    """Weight and size in grams and millimetres; what is left out is taken from the order."""

    place_id: UUID | None = None
    weight_grams: Grams | None = None
    length_mm: Millimetres | None = None
    breadth_mm: Millimetres | None = None
    height_mm: Millimetres | None = None


class UpdateTracking(Measured):
    """A parcel booked outside: `order` is the order's number or the channel's id of it."""

    order: str = Field(min_length=1, max_length=200)
    carrier: str = Field(min_length=2, max_length=40, pattern=r"^[^|\x00-\x1f]+$")
    awb: str = Field(min_length=5, max_length=40, pattern=r"^[A-Za-z0-9-]+$")
    status: Progress | None = None
    at: AwareDatetime | None = Field(default=None, description="When it got to be so; now, if left out")


class GenerateLabel(Measured):
    """A courier (`velocity`) and a service of it may be asked for; else the cheapest is taken."""

    order_id: UUID
    courier: str | None = Field(default=None, min_length=1, max_length=40)
    service: str | None = Field(default=None, min_length=1, max_length=120)


class StoreParcelOut(Accepted):
    """A shipment of the store's order. `label`: where its PDF is, once it has an AWB."""

    shipment_id: UUID
    number: str
    order_id: UUID
    state: str
    courier: str
    carrier: str
    awb: str | None
    label: str | None


class MarkDispatched(Input):
    shipment_ids: tuple[UUID, ...] = Field(min_length=1, max_length=500)


class NewDeliveryDate(Input):
    expected: AwareDatetime


class CancelAtStore(Input):
    reason: str = Field(default="Cancelled by the seller", min_length=1, max_length=200)


class CancellationOut(BaseModel):
    """`state`: asked | done | refused, with `code` and the store's words in `because`."""

    model_config = ConfigDict(from_attributes=True)

    order_id: UUID
    connection_id: UUID
    reason: str
    state: str
    code: str | None
    because: str | None
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
