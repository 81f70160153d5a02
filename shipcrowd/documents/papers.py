"""What a label, a packing slip and a manifest say. Values only; `render` makes pages of them.

Text may be anything a channel or a buyer typed: it is cleaned, cut and fitted when it is printed. What must be right
to be printed at all (an AWB a scanner can read, money that is owed) is checked here.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from shipcrowd.documents import code128
from shipcrowd.documents.logo import Logo
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.money import Money


class Layout(StrEnum):
    """How labels lie on paper."""

    thermal_4x6 = "thermal_4x6"  # one a page, 4 × 6 in (288 × 432 pt)
    a4_4up = "a4_4up"  # four a page, each 105 × 148.5 mm


class SlipLayout(StrEnum):
    """What a packing slip is printed on."""

    a4 = "a4"
    thermal_4x6 = "thermal_4x6"


@dataclass(frozen=True, slots=True)
class Party:
    """Someone at an address, as it is to be printed. `street` is everything above the city."""

    name: str
    street: str
    city: str
    state: str
    pincode: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class LabelLine:
    """So many units of one thing. Raises Invalid for fewer than one."""

    sku: str
    name: str
    quantity: int

    def __post_init__(self) -> None:
        _at_least(1, self.quantity, "quantity")


@dataclass(frozen=True, slots=True)
class LabelData:
    """One shipping label. `to_collect` is the cash on delivery, None when prepaid.

    Raises Invalid (or code128.Unprintable) for an AWB that makes no barcode, cash of nothing, or no weight.
    """

    awb: str
    courier: str
    order_number: str
    ordered_on: date
    ship_to: Party
    return_to: Party
    seller_name: str
    weight_grams: int
    length_mm: int
    breadth_mm: int
    height_mm: int
    value: Money
    lines: tuple[LabelLine, ...]
    to_collect: Money | None = None
    routing_code: str = ""
    seller_gstin: str = ""
    logo: Logo | None = None
    invoice_number: str = ""
    invoice_date: date | None = None

    def __post_init__(self) -> None:
        code128.module_mm(sum(code128.widths(self.awb)), LABEL_BARCODE_MM)
        _owed(self.to_collect)
        _at_least(1, self.weight_grams, "weight_grams")
        for field in ("length_mm", "breadth_mm", "height_mm"):
            _at_least(1, getattr(self, field), field)


@dataclass(frozen=True, slots=True)
class PackingSlipLine:
    """What the packer takes, and from where. `unit_price` is left out of the slip when None."""

    sku: str
    name: str
    quantity: int
    bin: str = ""
    unit_price: Money | None = None

    def __post_init__(self) -> None:
        _at_least(1, self.quantity, "quantity")


@dataclass(frozen=True, slots=True)
class PackingSlipData:
    """What goes into one parcel. The barcode is the order number, for the packing desk."""

    order_number: str
    ordered_on: date
    ship_to: Party
    seller_name: str
    lines: tuple[PackingSlipLine, ...]
    seller_address: Party | None = None
    seller_gstin: str = ""
    logo: Logo | None = None
    awb: str = ""
    courier: str = ""
    to_collect: Money | None = None
    note: str = ""

    def __post_init__(self) -> None:
        _owed(self.to_collect)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One shipment handed to the courier. `to_collect` is None when prepaid; `carrier` is who carries it, where one
    courier account books with several."""

    awb: str
    order_number: str
    pincode: str
    weight_grams: int
    to_collect: Money | None = None
    packages: int = 1
    carrier: str = ""

    def __post_init__(self) -> None:
        _owed(self.to_collect)
        _at_least(0, self.weight_grams, "weight_grams")
        _at_least(1, self.packages, "packages")


@dataclass(frozen=True, slots=True)
class ManifestData:
    """The list a pickup is signed against. `number` is its barcode."""

    number: str
    carrier: str
    on: date
    seller_name: str
    pickup: Party
    rows: tuple[ManifestRow, ...]

    def __post_init__(self) -> None:
        code128.module_mm(sum(code128.widths(self.number)), MANIFEST_BARCODE_MM)


LABEL_BARCODE_MM = 100.0
"""Paper a label's barcode may take, quiet zones included: the narrower of the two label widths, less a little."""

MANIFEST_BARCODE_MM = 80.0


def _owed(amount: Money | None) -> None:
    if amount is not None and amount <= Money.zero:
        raise Invalid(f"{amount} cannot be collected on delivery; a prepaid parcel has none", field="to_collect")


def _at_least(least: int, found: int, field: str) -> None:
    if found < least:
        raise Invalid(f"{field} is {found}; it must be at least {least}", field=field)
