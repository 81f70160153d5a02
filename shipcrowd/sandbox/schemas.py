"""What goes into the desk and comes out of it: the same words whether it is driven in memory or over HTTP."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shipcrowd.sandbox.faults import LONGEST_WAIT, FaultKind


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Count(Frozen):
    """How many were meant, moved or made."""

    count: int


# --- in -------------------------------------------------------------------------------------------------------


class Payment(StrEnum):
    cod = "cod"
    prepaid = "prepaid"
    partial = "partial"  # a part paid online, the rest on delivery
    bank = "bank"  # a manual method that is not cash on delivery; nothing paid yet
    authorized = "authorized"  # the card is authorized, not captured


class NewAddress(Frozen):
    """An address as a buyer types it. Fields left out stay empty at the shop too."""

    first_name: str = ""
    last_name: str = ""
    company: str | None = None
    address1: str = ""
    address2: str | None = None
    city: str = ""
    province: str = ""
    province_code: str | None = None
    zip: str = ""
    country: str = "India"
    country_code: str = "IN"
    phone: str | None = None


class NewLine(Frozen):
    """`sku` of the shop's catalogue; a SKU it does not have becomes a line without variant or product."""

    sku: str
    quantity: int = Field(default=1, ge=1)
    price: str | None = None  # rupees; the catalogue's where left out
    discount: str = "0"  # rupees off the whole line
    grams: int | None = Field(default=None, ge=0)
    requires_shipping: bool = True
    location: str | None = None  # name of the location it ships from; the first one where left out
    properties: dict[str, str] = Field(default_factory=dict[str, str])


class NewOrder(Frozen):
    """An order to place at a Shopify shop. What is left out is drawn from invented buyers and goods."""

    payment: Payment = Payment.cod
    lines: tuple[NewLine, ...] = ()
    shipping_address: NewAddress | None = None
    billing_address: NewAddress | None = None
    no_shipping_address: bool = False  # the shop has none: a digital order, or the buyer shipped to billing
    no_phone: bool = False
    pincode: str | None = None  # replaces the drawn buyer's
    email: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()
    shipping_fee: str = "0.00"
    paid_online: str = "100.00"  # for `partial`
    gateway: str | None = None  # the payment method's name where the shop renamed it
    currency: str = "INR"
    attributes: dict[str, str] = Field(default_factory=dict[str, str])
    test: bool = False
    delivery_method: Literal["SHIPPING", "LOCAL", "PICK_UP", "NONE"] = "SHIPPING"
    third_party: bool = False  # assigned to somebody else's fulfilment service
    scheduled_for: datetime | None = None
    placed_at: datetime | None = None


class NewEdit(Frozen):
    """A change the merchant makes to an order. `quantities` maps SKU to its new quantity (0 removes it)."""

    quantities: dict[str, int] = Field(default_factory=dict[str, int])
    shipping_address: NewAddress | None = None
    note: str | None = None


class NewShop(Frozen):
    domain: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com$")
    name: str = ""
    email: str = "owner@shop.example"
    currency: str = "INR"
    stock: int = 100  # of each good at the first location


class NewScan(Frozen):
    """`status` is any text: what the courier's documents do not know must not break the reader."""

    status: str = Field(min_length=1, max_length=80)
    location: str = ""
    remark: str = ""
    at: datetime | None = None


class NewFault(Frozen):
    vendor: Literal["shopify", "velocity", "amazon", "flipkart"]
    operation: str = "*"
    kind: FaultKind
    times: int | None = Field(default=1, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    retry_after: int | None = Field(default=None, ge=0)
    seconds: float = Field(default=LONGEST_WAIT, ge=0, le=LONGEST_WAIT)


class Access(StrEnum):
    """How much of the buyers' protected data Shopify lets the app see."""

    granted = "granted"
    fields_denied = "fields_denied"  # level 2 refused: names, addresses, phones and e-mails come as null, with errors
    denied = "denied"  # level 1 refused: no orders at all


class Mode(StrEnum):
    open = "open"
    frozen = "frozen"  # 402: the merchant did not pay Shopify
    locked = "locked"  # 423
    gone = "gone"  # 404


class WebhookShape(StrEnum):
    typed = "typed"
    flat = "flat"


class Knobs(Frozen):
    """Settings to change; what is None stays as it is."""

    # webhooks
    duplicate: float | None = Field(default=None, ge=0, le=1)
    reorder: float | None = Field(default=None, ge=0, le=1)
    lose: float | None = Field(default=None, ge=0, le=1)
    delay_seconds: float | None = Field(default=None, ge=0, le=600)
    webhook_timeout_seconds: float | None = Field(default=None, gt=0, le=30)
    webhook_retry_seconds: tuple[float, ...] | None = Field(default=None, max_length=8)
    # Shopify
    index_lag_seconds: float | None = Field(default=None, ge=0, le=3600)
    refuse_non_expiring: bool | None = None
    access_token_seconds: int | None = Field(default=None, ge=1)
    split_remainder: bool | None = None
    bucket_size: float | None = Field(default=None, gt=0)
    restore_rate: float | None = Field(default=None, ge=0)
    withhold_scopes: tuple[str, ...] | None = None
    # Velocity
    token_seconds: int | None = Field(default=None, ge=1)
    unserviceable: tuple[str, ...] | None = None
    prepaid_only: tuple[str, ...] | None = None
    unserviceable_as_empty: bool | None = None
    reject_duplicate_orders: bool | None = None
    cancel_seconds: float | None = Field(default=None, ge=0, le=3600)
    enforce_budget: bool | None = None
    missing_warehouse_status: Literal[400, 404] | None = None
    webhook_shape: WebhookShape | None = None
    label_missing: float | None = Field(default=None, ge=0, le=1)


class WebhookTarget(Frozen):
    """Where the courier's webhooks go. Velocity has no API for this; it is agreed by hand."""

    url: str
    secret: str
    api_key: str | None = None


# --- out ------------------------------------------------------------------------------------------------------


class FulfilmentView(Frozen):
    id: str
    status: str
    display_status: str | None
    company: str | None
    numbers: tuple[str, ...]
    urls: tuple[str, ...]
    events: tuple[str, ...]
    skus: dict[str, int]


class FulfilmentOrderView(Frozen):
    id: str
    status: str
    request_status: str
    location: str
    remaining: dict[str, int]


class OrderView(Frozen):
    id: int
    gid: str
    name: str
    shop: str
    updated_at: datetime
    financial_status: str
    fulfillment_status: str
    cancelled: bool
    total: str
    outstanding: str
    tags: tuple[str, ...]
    fulfilment_orders: tuple[FulfilmentOrderView, ...]
    fulfilments: tuple[FulfilmentView, ...]


class StockView(Frozen):
    sku: str
    location: str
    available: int
    on_hand: int
    committed: int


class ShopView(Frozen):
    domain: str
    name: str
    mode: Mode
    access: Access
    orders: int
    subscriptions: tuple[str, ...]  # "ORDERS_CREATE → https://…"


class ScanView(Frozen):
    at: datetime
    status: str
    location: str
    remark: str


class ParcelView(Frozen):
    """`awb` is None for an order without a courier yet (the two-step booking)."""

    awb: str | None
    order_id: str  # the seller's
    courier_order_id: str
    shipment_id: str
    courier: str | None
    flow: Literal["forward", "return"]
    status: str
    cod_paise: int
    to_pincode: str
    to_name: str
    weight_grams: int
    scans: tuple[ScanView, ...]
    order_name: str | None = None  # the shop's, once the shop was told of the parcel
    moves: tuple[Literal["advance", "deliver", "fail", "rto"], ...] = ()  # what can happen to it now


class LetterView(Frozen):
    lane: str
    topic: str
    url: str
    state: str
    written_at: datetime
    answers: tuple[str, ...]


class FaultView(Frozen):
    vendor: str
    operation: str
    kind: FaultKind
    times: int | None
    probability: float


class StatsView(Frozen):
    shops: int
    orders: int
    fulfilments_by_awb: dict[str, str]  # AWB → display status
    parcels: int
    parcels_by_order: dict[str, int]  # seller's order id → parcels
    parcels_by_status: dict[str, int]
    letters: dict[str, int]  # state → how many of those remembered
