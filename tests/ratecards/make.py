"""Cards and parcels to price, each test changing what it is about."""

from datetime import date
from typing import Any

from shipcrowd.couriers.contract import Mode, Parcel, Payment, ServiceOffer
from shipcrowd.kernel.money import Money
from shipcrowd.ratecards.schemas import NewCard
from shipcrowd.ratecards.terms import CodFee, Terms, ZonePrice
from shipcrowd.ratecards.zones import Zone

NEW_YEAR = date(2026, 1, 1)


def terms(**changes: Any) -> Terms:
    price = ZonePrice(first_paise=45_00, extra_paise=38_00, rto_first_paise=40_00, rto_extra_paise=35_00)
    plain: dict[str, Any] = {
        "slab_grams": 500,
        "zones": dict.fromkeys(Zone, price),
        "cod": CodFee(flat_paise=40_00, percent_bp=200),
        "supplier_state": "KA",
    }
    return Terms(**(plain | changes))


def flat(rupees: int) -> Terms:
    """Terms that cost so many rupees before tax, wherever to and however heavy."""
    price = ZonePrice(first_paise=rupees * 100, extra_paise=0, rto_first_paise=0, rto_extra_paise=0)
    return terms(zones=dict.fromkeys(Zone, price), cod=CodFee())


def card(**changes: Any) -> NewCard:
    plain: dict[str, Any] = {
        "name": "A card",
        "courier": "velocity",
        "effective_from": NEW_YEAR,
        "terms": terms(),
    }
    return NewCard(**(plain | changes))


def parcel(**changes: Any) -> Parcel:
    """30 × 20 × 15 cm, 0.8 kg, from Bengaluru to Jaipur, ₹1,499 to collect."""
    plain: dict[str, Any] = {
        "from_pincode": "560001",
        "to_pincode": "302001",
        "weight_grams": 800,
        "length_mm": 300,
        "breadth_mm": 200,
        "height_mm": 150,
        "payment": Payment.cod,
        "declared_value": Money(1_499_00),
        "to_collect": Money(1_499_00),
    }
    return Parcel(**(plain | changes))


def offer(service: str = "xb-surface", mode: Mode = Mode.surface) -> ServiceOffer:
    return ServiceOffer(service=service, name=service, carrier="Xpressbees", mode=mode)
