"""What a rate card says, validated. Pure: this is the shape of the JSON in `rate_cards.terms`.

Amounts are paise, percentages basis points (1,800 is 18 %), weights grams.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shipcrowd.pincodes.metros import Metro
from shipcrowd.pincodes.states import BY_CODE
from shipcrowd.ratecards.zones import Zone

Paise = Annotated[int, Field(ge=0, le=1_00_00_000_00)]
BasisPoints = Annotated[int, Field(ge=0, le=10_000)]


class Strict(BaseModel):
    # A misspelt field would silently leave a default in force.
    model_config = ConfigDict(frozen=True, extra="forbid")


class ZonePrice(Strict):
    """The price in one zone: the first slab, and each further one; the same for the way back of an RTO."""

    first_paise: Paise
    extra_paise: Paise
    rto_first_paise: Paise
    rto_extra_paise: Paise


class CodFee(Strict):
    """Cash on delivery costs the flat fee or the percentage of what is collected, whichever is more."""

    flat_paise: Paise = 0
    percent_bp: BasisPoints = 0


class Terms(Strict):
    """Everything a quote needs to know besides the parcel."""

    volumetric_divisor: int = Field(default=5_000, ge=1_000, le=20_000)
    """Cubic centimetres that count as one kilogram."""
    slab_grams: int = Field(ge=1, le=1_000_000)
    """Weight is charged in steps of this."""
    first_slab_grams: int | None = Field(default=None, ge=1, le=1_000_000)
    """What the first price covers, where that is more (or less) than one step: heavy cards. None: one step."""
    zones: dict[Zone, ZonePrice]
    fuel_bp: BasisPoints = 0
    """Fuel surcharge on the freight."""
    cod: CodFee = CodFee()
    cod_refunded_on_rto: bool = True
    """Whether the COD fee is given back when the parcel comes back undelivered."""
    gst_bp: BasisPoints = 1_800
    sac: str = Field(default="996812", pattern=r"^\d{6}$")
    """The service's accounting code for GST: 996812 is courier services."""
    supplier_state: str
    """The state the platform supplies this service from, as our two-letter code: decides CGST + SGST or IGST."""
    b_before_e: bool = False
    """Within one remote state, charge zone B instead of E."""
    kl_hp_in_e: bool = False
    """Kerala and Himachal Pradesh count as remote."""
    metros: tuple[Metro, ...] = tuple(Metro)
    """The metropolitan areas of zone C."""

    @property
    def first_grams(self) -> int:
        return self.first_slab_grams or self.slab_grams

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [zone.value for zone in Zone if zone not in self.zones]
        if missing:
            raise ValueError(f"a card has a price for every zone; missing: {', '.join(missing)}")
        if self.gst_bp % 2:
            raise ValueError("the GST rate must be an even number of basis points, so that it halves")
        if self.supplier_state not in BY_CODE:
            raise ValueError(f"{self.supplier_state!r} is not a two-letter state code such as KA")
        return self
