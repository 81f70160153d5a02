"""The services Velocity books, by its carrier ids. Data: Velocity has no endpoint that lists them.

`successor` is the id that took over from a retired one, so that rules which still name the old id keep working.
A retired id without a successor is no longer offered.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shipcrowd.couriers.contract import Mode

UNRANKED = 10


@dataclass(frozen=True)
class CarrierService:
    """One service. `min_grams` is the slab it bills at least; `rank` orders offers where nothing else does."""

    id: str
    name: str
    carrier: str
    mode: Mode = Mode.surface
    min_grams: int = 500
    rank: int = UNRANKED
    active: bool = True
    successor: str | None = None


def _retired(id: str, name: str, carrier: str, successor: str | None = None, min_grams: int = 500) -> CarrierService:
    return CarrierService(id, name, carrier, min_grams=min_grams, active=False, successor=successor)


SERVICES: Mapping[str, CarrierService] = {
    service.id: service
    for service in (
        CarrierService("CAR2CHKPXAC5T", "Delhivery Standard", "Delhivery", rank=100),
        CarrierService("CARFRQQXRTZQ9", "Delhivery Express", "Delhivery", Mode.air, rank=95),
        CarrierService("CAR5IXXJVT5MD", "Delhivery Standard 5 kg", "Delhivery", min_grams=5_000),
        CarrierService("CARVPHPLJQJOA", "Delhivery Special 10 kg", "Delhivery", min_grams=10_000),
        CarrierService("CARBYISS34LSS", "Delhivery Special Prime 20 kg", "Delhivery", min_grams=20_000),
        CarrierService("CAR2FZNOLGJ2X", "Bluedart Standard", "Bluedart", rank=90),
        CarrierService("CARISGEX1QMVB", "Bluedart Air", "Bluedart", Mode.air, rank=85),
        CarrierService("CAR71OFLZNOSI", "Amazon Transportation", "Amazon", rank=80),
        CarrierService("CAR7RFCSBPAV7", "Shadowfax Standard", "Shadowfax", rank=70),
        CarrierService("CARR5H4WQY3PM", "Ekart Standard", "Ekart", rank=60),
        _retired("CARO0ZZQH1H6U", "Delhivery Standard (old)", "Delhivery", "CAR2CHKPXAC5T"),
        _retired("CARCVBWTPRH08", "Ekart (old)", "Ekart", "CARR5H4WQY3PM"),
        _retired("CARFYXUKCQHBM", "Delhivery 20 kg (old)", "Delhivery", "CARBYISS34LSS", min_grams=20_000),
        _retired("CARVKGNGNLOCU", "Blitz", "Blitz"),
        _retired("CARLTTKCUYWRM", "Delhivery 250 g", "Delhivery", min_grams=250),
        _retired("CARTS5SW8LSJT", "XpressBees", "XpressBees"),
        _retired("CARKX7WW6UNS8", "Pikndel NDD", "Pikndel"),
        _retired("CAR0EPDPJXXL4", "DTDC", "DTDC"),
    )
}

KNOWN_CARRIERS: Mapping[str, str] = {
    "delhivery": "Delhivery",
    "bluedart": "Bluedart",
    "blue dart": "Bluedart",
    "amazon": "Amazon",
    "shadowfax": "Shadowfax",
    "ekart": "Ekart",
    "xpressbees": "XpressBees",
    "dtdc": "DTDC",
    "blitz": "Blitz",
    "pikndel": "Pikndel",
}
"""How a carrier's name begins, in lower case → the one spelling we use."""


def carrier_of(name: str) -> str:
    """`"Delhivery Standard"` → `"Delhivery"`; a name we do not know stays as it is."""
    lowered = name.strip().lower()
    return next((ours for start, ours in KNOWN_CARRIERS.items() if lowered.startswith(start)), name.strip())


def service_for(id: str, name: str) -> CarrierService:
    """The service behind an id; one made of Velocity's own name where the table does not hold it yet."""
    label = name.strip() or id
    air = any(word in label.lower().split() for word in ("air", "express"))
    return SERVICES.get(id) or CarrierService(id, label, carrier_of(label), Mode.air if air else Mode.surface)


def current(id: str) -> str:
    """The id to book with: that of the successor for a retired service."""
    known = SERVICES.get(id)
    return known.successor if known and known.successor else id
