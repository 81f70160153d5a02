"""An order as it enters ShipCrowd, whatever the channel: the one shape every channel's mapping produces."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from shipcrowd.couriers.contract import Payment
from shipcrowd.kernel.money import Money
from shipcrowd.pincodes.address import Address, AddressIn
from shipcrowd.pincodes.gstin import InvalidGstin, read_gstin

__all__ = [
    "Fulfilment",
    "IncomingLine",
    "IncomingOrder",
    "ManualLine",
    "ManualOrder",
    "OrderEdit",
    "Payment",
    "SourceState",
]


class Fulfilment(StrEnum):
    """Who ships the order."""

    seller = "seller"
    marketplace_logistics = "marketplace_logistics"  # the seller packs, the marketplace's courier carries
    marketplace_warehouse = "marketplace_warehouse"  # FBA, FBF: read-only here


class SourceState(StrEnum):
    """What the channel says of the order, in our words."""

    open = "open"
    payment_pending = "payment_pending"  # not COD and not paid: must not ship yet
    on_hold = "on_hold"
    partially_shipped = "partially_shipped"
    shipped = "shipped"
    delivered = "delivered"
    cancelled = "cancelled"
    nothing_to_ship = "nothing_to_ship"  # digital goods, in-store pickup
    attention = "attention"  # the channel wants a person to look


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class IncomingLine(Frozen):
    """One line. Prices are per unit and as the channel states them (with or without tax: see the order)."""

    external_id: str
    sku: str | None = None
    name: str
    variant: str | None = None
    quantity: int = Field(ge=0, le=1_000_000)
    """Units still wanted, after edits and refunds."""
    to_ship: int | None = Field(default=None, ge=0)
    """Units not yet shipped at the channel; None means all of `quantity`."""
    unit_price: Money
    discount: Money = Money.zero  # per line, already taken off nowhere
    tax: Money = Money.zero  # per line
    tax_rate_bp: int | None = None  # 1,800 is 18 %
    hsn: str | None = None
    weight_grams: int | None = None  # of one unit
    requires_shipping: bool = True
    external_product_id: str | None = None
    external_variant_id: str | None = None


class IncomingOrder(Frozen):
    """One order from a channel. Amounts are in `currency`; `to_collect` is what the courier asks the buyer for."""

    external_id: str
    external_ref: str | None = None  # a second id where the channel has two (a GID)
    number: str
    placed_at: datetime
    source_updated_at: datetime
    state: SourceState = SourceState.open
    payment: Payment
    currency: str = "INR"
    subtotal: Money = Money.zero
    discount: Money = Money.zero
    shipping: Money = Money.zero
    tax: Money = Money.zero
    total: Money
    to_collect: Money = Money.zero
    taxes_included: bool = True
    ship_to: Address | None = None
    bill_to: Address | None = None
    buyer_gstin: str | None = None
    lines: tuple[IncomingLine, ...]
    weight_grams: int | None = None  # of everything, where the channel says only that
    fulfilment: Fulfilment = Fulfilment.seller
    ship_by: datetime | None = None
    note: str = ""
    tags: tuple[str, ...] = ()
    hold_reasons: tuple[str, ...] = ()
    test: bool = False
    pii_withheld: bool = False  # the channel did not show us the buyer, though there is one
    phone_withheld: bool = False  # it showed the buyer without a number, and does not show numbers to everybody
    attributes: dict[str, str] = Field(default_factory=dict)


class Input(BaseModel):
    """What a client sends: unknown fields are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


MOST = Money(100_00_00_000_00)
"""₹100 crore: what is more is a mistake, and sums of it would not fit their columns."""


def _sensible(amount: Money) -> Money:
    if not Money.zero <= amount <= MOST:
        raise ValueError("an amount is zero or more, and at most ₹100 crore")
    return amount


def _plain_default(schema: dict[str, Any]) -> None:
    """A default is described the way it is sent: as a number of paise."""
    if isinstance(schema.get("default"), Mapping):
        schema["default"] = schema["default"]["paise"]


Paise = Annotated[Money, AfterValidator(_sensible), Field(description="paise, INR", json_schema_extra=_plain_default)]
Grams = Annotated[int, Field(ge=1, le=100_000)]
Millimetres = Annotated[int, Field(ge=1, le=5_000)]


def _gstin(typed: str) -> str:
    try:
        return read_gstin(typed).number
    except InvalidGstin as error:
        raise ValueError(error.detail) from error


class ManualLine(Input):
    name: str = Field(min_length=1, max_length=300)
    sku: str | None = Field(default=None, max_length=120)
    units: int = Field(ge=1, le=10_000)
    unit_price_paise: Paise
    tax_paise: Paise = Money.zero
    hsn: str | None = Field(default=None, pattern=r"^\d{4,8}$")
    weight_grams: Grams | None = None


class ManualOrder(Input):
    """An order without a channel. Amounts in paise; `to_collect_paise` defaults to the total for COD."""

    number: str | None = Field(default=None, min_length=1, max_length=60)
    reference: str | None = Field(default=None, max_length=120)
    payment: Payment
    ship_to: AddressIn
    bill_to: AddressIn | None = None
    buyer_gstin: Annotated[str, Field(max_length=30), AfterValidator(_gstin)] | None = None
    lines: tuple[ManualLine, ...] = Field(min_length=1, max_length=200)
    discount_paise: Paise = Money.zero
    shipping_paise: Paise = Money.zero
    to_collect_paise: Paise | None = None
    weight_grams: Grams | None = None
    length_mm: Millimetres | None = None
    breadth_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    ship_by: AwareDatetime | None = None
    note: str = Field(default="", max_length=2000)
    tags: tuple[str, ...] = Field(default=(), max_length=50)


class OrderEdit(Input):
    """Only the fields given are changed."""

    ship_to: AddressIn | None = None
    weight_grams: Grams | None = None
    length_mm: Millimetres | None = None
    breadth_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    ship_by: AwareDatetime | None = None
    tags: tuple[str, ...] | None = Field(default=None, max_length=50)
