"""The price of one shipment: terms and a parcel in, a breakdown in paise out. Pure.

Integers throughout: grams, millimetres, paise. What is rounded, and how:
- volumetric weight, up to the gram; chargeable weight, up to the slab;
- fuel surcharge and COD percentage, half up to the paisa;
- tax, half up to the paisa *on each charge by itself*, so that giving one charge back (COD on an RTO) gives back
  exactly its tax. Within a state CGST and SGST are each half the rate on that charge, each half up, hence always
  equal, as e-invoices demand; together they may differ from the IGST of the same charge by one paisa, never more.
"""

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from shipcrowd.couriers.contract import Flow, Parcel, Payment
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.money import Money
from shipcrowd.pincodes.states import BY_CODE
from shipcrowd.ratecards.terms import Terms
from shipcrowd.ratecards.zones import Zone


class NotMeasured(Invalid):
    """The parcel's weight and dimensions must be known to price it."""


class ChargeCode(StrEnum):
    freight = "freight"
    fuel = "fuel"
    cod = "cod"
    rto_freight = "rto_freight"
    rto_fuel = "rto_fuel"


class Charge(BaseModel):
    """One line of a breakdown: an amount before tax, and its tax. Of SGST and UTGST, `sgst_paise` is either."""

    model_config = ConfigDict(frozen=True)

    code: ChargeCode
    amount_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int

    @property
    def gst_paise(self) -> int:
        return self.cgst_paise + self.sgst_paise + self.igst_paise

    @property
    def total_paise(self) -> int:
        return self.amount_paise + self.gst_paise


class Bill(BaseModel):
    """Charges, added up."""

    model_config = ConfigDict(frozen=True)

    charges: tuple[Charge, ...]
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    total_paise: int

    @classmethod
    def of(cls, *charges: Charge) -> Self:
        return cls(
            charges=charges,
            taxable_paise=sum(charge.amount_paise for charge in charges),
            cgst_paise=sum(charge.cgst_paise for charge in charges),
            sgst_paise=sum(charge.sgst_paise for charge in charges),
            igst_paise=sum(charge.igst_paise for charge in charges),
            total_paise=sum(charge.total_paise for charge in charges),
        )

    @property
    def total(self) -> Money:
        return Money(self.total_paise)

    @property
    def gst(self) -> Money:
        return Money(self.cgst_paise + self.sgst_paise + self.igst_paise)

    def amount(self, code: ChargeCode) -> Money:
        """The amount before tax of one kind of charge; zero when there is none."""
        return Money(sum(charge.amount_paise for charge in self.charges if charge.code is code))


class Quote(BaseModel):
    """The price of carrying one parcel, and how it came about.

    `bill` is what is charged at booking. `rto` is what coming back undelivered would cost on top, None for a reverse
    pickup; `rto_refund_paise` is what would then be given back (the COD fee with its tax).
    """

    model_config = ConfigDict(frozen=True)

    zone: Zone
    weight_grams: int
    volumetric_grams: int
    chargeable_grams: int
    slabs: int
    sac: str
    gst_bp: int
    supplier_state: str
    place_of_supply: str | None
    tax: Literal["CGST+SGST", "CGST+UTGST", "IGST"]
    bill: Bill
    rto: Bill | None
    rto_refund_paise: int

    @property
    def total(self) -> Money:
        """What the seller pays at booking, tax included."""
        return self.bill.total


def volumetric_grams(parcel: Parcel, divisor: int) -> int:
    """L × B × H in cm, by the divisor, is kilograms; in millimetres the same division gives grams. Rounded up."""
    return -(-parcel.length_mm * parcel.breadth_mm * parcel.height_mm // divisor)


def slabs(grams: int, terms: Terms) -> int:
    """How many slabs a weight is charged as: the first, and each further one begun."""
    return 1 + max(0, -(-(grams - terms.first_grams) // terms.slab_grams))


def quote(terms: Terms, parcel: Parcel, zone: Zone, *, place_of_supply: str | None) -> Quote:
    """Price one parcel.

    `place_of_supply` is the two-letter state code of the registered recipient, or for an unregistered one the state
    where the goods are handed over (section 12(8) of the IGST Act); None, where nobody knows it, is taxed as IGST.
    Raises NotMeasured unless weight and all three dimensions are positive: a guessed weight would be billed.
    """
    if min(parcel.weight_grams, parcel.length_mm, parcel.breadth_mm, parcel.height_mm) <= 0:
        raise NotMeasured("give the weight in grams and length, breadth and height in millimetres")
    volumetric = volumetric_grams(parcel, terms.volumetric_divisor)
    steps = slabs(max(parcel.weight_grams, volumetric), terms)
    price = terms.zones[zone]
    local = place_of_supply == terms.supplier_state

    def charge(code: ChargeCode, amount: Money) -> Charge:
        half = amount.share(terms.gst_bp // 2).paise if local else 0
        whole = 0 if local else amount.share(terms.gst_bp).paise
        return Charge(code=code, amount_paise=amount.paise, cgst_paise=half, sgst_paise=half, igst_paise=whole)

    freight = Money(price.first_paise + (steps - 1) * price.extra_paise)
    carried = [charge(ChargeCode.freight, freight)]
    if terms.fuel_bp:
        carried.append(charge(ChargeCode.fuel, freight.share(terms.fuel_bp)))
    cash = parcel.payment is Payment.cod and parcel.flow is Flow.forward
    cod = [charge(ChargeCode.cod, cod_fee(terms, parcel.to_collect))] if cash else []

    back: list[Charge] = []
    if parcel.flow is Flow.forward:
        rto_freight = Money(price.rto_first_paise + (steps - 1) * price.rto_extra_paise)
        back.append(charge(ChargeCode.rto_freight, rto_freight))
        if terms.fuel_bp:
            back.append(charge(ChargeCode.rto_fuel, rto_freight.share(terms.fuel_bp)))

    return Quote(
        zone=zone,
        weight_grams=parcel.weight_grams,
        volumetric_grams=volumetric,
        chargeable_grams=terms.first_grams + (steps - 1) * terms.slab_grams,
        slabs=steps,
        sac=terms.sac,
        gst_bp=terms.gst_bp,
        supplier_state=terms.supplier_state,
        place_of_supply=place_of_supply,
        tax=_tax(terms.supplier_state) if local else "IGST",
        bill=Bill.of(*carried, *cod),
        rto=Bill.of(*back) if back else None,
        rto_refund_paise=sum(each.total_paise for each in cod) if terms.cod_refunded_on_rto else 0,
    )


def cod_fee(terms: Terms, to_collect: Money) -> Money:
    """The flat fee or the percentage of what is collected, whichever is more. Before tax."""
    return max(Money(terms.cod.flat_paise), to_collect.share(terms.cod.percent_bp))


def _tax(state: str) -> Literal["CGST+SGST", "CGST+UTGST"]:
    return "CGST+UTGST" if BY_CODE[state].utgst else "CGST+SGST"
