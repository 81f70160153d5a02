"""What clients send and get about parcels."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shipcrowd.couriers.contract import Progress
from shipcrowd.documents.papers import Layout
from shipcrowd.kernel import pages
from shipcrowd.orders.schemas import Grams, Input, Millimetres
from shipcrowd.pincodes.address import Address
from shipcrowd.shipping.queries import ShipmentFilter
from shipcrowd.shipping.quoting import Option


class AskPrices(Input):
    """Weight and size in grams and millimetres; what is left out is taken from the order, never guessed."""

    order_id: UUID
    place_id: UUID | None = None
    weight_grams: Grams | None = None
    length_mm: Millimetres | None = None
    breadth_mm: Millimetres | None = None
    height_mm: Millimetres | None = None


class QuoteOut(BaseModel):
    id: UUID
    order_id: UUID
    place_id: UUID
    weight_grams: int
    length_mm: int
    breadth_mm: int
    height_mm: int
    expires_at: datetime
    options: list[Option]


class LineUnits(Input):
    line_id: UUID
    units: int = Field(ge=1, le=10_000)


class BookFromQuote(Input):
    """`lines` ships a part of the order; without it, all that is left."""

    quote_id: UUID
    service: str = Field(min_length=1, max_length=120)
    account_id: UUID | None = None
    lines: tuple[LineUnits, ...] = Field(default=(), max_length=200)


class BookByHand(Input):
    """A parcel you booked elsewhere: its carrier and AWB."""

    order_id: UUID
    carrier: str = Field(min_length=2, max_length=60)
    awb: str = Field(min_length=5, max_length=40, pattern=r"^[A-Za-z0-9-]+$")
    place_id: UUID | None = None
    weight_grams: Grams | None = None
    length_mm: Millimetres | None = None
    breadth_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    lines: tuple[LineUnits, ...] = Field(default=(), max_length=200)


class BulkShip(Input):
    order_ids: tuple[UUID, ...] = Field(min_length=1, max_length=500)
    choose: Literal["cheapest", "fastest"] = "cheapest"
    place_id: UUID | None = None


class ShipmentIds(Input):
    shipment_ids: tuple[UUID, ...] = Field(min_length=1, max_length=500)


class PrintLabels(ShipmentIds):
    layout: Layout = Layout.thermal_4x6


class TypedAwb(Input):
    awb: str = Field(min_length=5, max_length=40, pattern=r"^[A-Za-z0-9-]+$")
    carrier: str = Field(default="", max_length=60)


class TypedProgress(Input):
    progress: Progress
    remark: str = Field(default="", max_length=300)


class FilledFormIn(Input):
    """`name` as it stands on the form; `number`: what the state gave for it."""

    name: str = Field(min_length=1, max_length=100)
    number: str = Field(min_length=1, max_length=100)


class FormsDone(Input):
    forms: list[FilledFormIn] = Field(min_length=1, max_length=10)


class HandOver(Input):
    to: str = Field(min_length=1, max_length=120)


class AskPickup(Input):
    place_id: UUID
    courier: str = Field(min_length=1, max_length=40)
    on: date


class ShipmentList(ShipmentFilter, pages.Keyset):
    """Filters and the page wanted."""


class ShipmentOut(BaseModel):
    id: UUID
    number: str
    order_id: UUID
    order_number: str
    state: str
    flow: str
    courier: str
    carrier: str
    service: str
    service_name: str
    awb: str | None
    zone: str | None
    payment: str
    to_collect_paise: int
    declared_paise: int
    charge_paise: int
    weight_grams: int
    length_mm: int
    breadth_mm: int
    height_mm: int
    city: str
    pincode: str
    created_at: datetime
    booked_at: datetime | None
    picked_up_at: datetime | None
    delivered_at: datetime | None
    moved_at: datetime
    last_location: str
    last_checked_at: datetime | None
    next_check_at: datetime | None
    reason_code: str | None
    reason: str | None
    manifest_id: UUID | None
    pickup_on: date | None
    labels_printed: int
    tracking_url: str


class ScanOut(BaseModel):
    at: datetime
    status: str
    progress: str | None
    location: str
    remark: str
    via: str


class ShipmentWholeOut(ShipmentOut):
    ship_to: Address
    charge: dict[str, Any]
    scans: list[ScanOut]
    proof_of_delivery: dict[str, str | None] | None


class BulkItemOut(BaseModel):
    """`state`: waiting, booking, booked, unconfirmed, refused (with `code` and `message`)."""

    order_id: UUID
    state: str
    shipment_id: UUID | None
    awb: str | None
    code: str | None
    message: str | None


class BulkRunOut(BaseModel):
    id: UUID
    total: int
    done: int
    finished: bool
    items: list[BulkItemOut]


class ManifestOut(BaseModel):
    id: UUID
    number: str
    state: str
    courier: str
    carrier: str
    place_id: UUID
    parcels: int
    weight_grams: int
    to_collect_paise: int
    created_at: datetime
    closed_at: datetime | None
    handed_over_at: datetime | None
    handed_over_to: str | None


class PickupOut(BaseModel):
    id: UUID
    place_id: UUID
    courier: str
    on: date
    parcels: int
    state: str
    token: str | None
    error: str | None


class TrackStepOut(BaseModel):
    """A step of the way in our words. The courier's own are left out: couriers write names and numbers into them."""

    at: datetime
    progress: str
    location: str


class TrackOut(BaseModel):
    """What anybody with the link may see: no name, no street, no phone."""

    number: str
    carrier: str
    awb: str | None
    state: str
    city: str
    seller: str
    moved_at: datetime
    last_checked_at: datetime | None
    next_check_at: datetime | None
    scans: list[TrackStepOut]


class HandOverOut(BaseModel):
    """Parcels of one carrier that wait at a place (the courier's id of it). `code`: what its driver is told."""

    model_config = ConfigDict(from_attributes=True)

    place: str
    carrier: str
    parcels: int
    multi_package: bool
    pickup_from: datetime | None
    pickup_to: datetime | None
    code: str | None
