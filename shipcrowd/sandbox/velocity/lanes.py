"""Who carries what where, and for how much. Zones are told by the first digits of two pincodes: near enough here."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from shipcrowd.sandbox.velocity.state import Carrier, Charges, Velocity

CARRIERS = (
    Carrier("CAR2CHKPXAC5T", "Delhivery Standard", 100, Decimal("1.10"), "3481##########", qc=True),
    Carrier("CARFRQQXRTZQ9", "Delhivery Express", 95, Decimal("1.20"), "3482##########", qc=True),
    Carrier("CAR5IXXJVT5MD", "Delhivery Standard 5 Kg", 94, Decimal("1.05"), "3483##########", qc=True),
    Carrier("CARVPHPLJQJOA", "Delhivery Special Standard 10 kg", 93, Decimal("1.02"), "3484##########", qc=True),
    Carrier("CARBYISS34LSS", "Delhivery Special Standard Prime 20 kg", 92, Decimal("1.00"), "3485##########", qc=True),
    Carrier("CAR2FZNOLGJ2X", "Bluedart Standard", 90, Decimal("1.20"), "77#########"),
    Carrier("CARISGEX1QMVB", "Bluedart Air", 85, Decimal("1.35"), "78#########"),
    Carrier("CAR71OFLZNOSI", "Amazon Transportation", 80, Decimal("1.15"), "36##########"),
    Carrier("CAR7RFCSBPAV7", "Shadowfax Standard", 70, Decimal("1.00"), "SF##########VEL", qc=True),
    Carrier("CARR5H4WQY3PM", "Ekart Standard", 60, Decimal("1.05"), "VEHF##########"),
)
BY_ID = {carrier.id: carrier for carrier in CARRIERS}

RETIRED = frozenset(
    (
        "CARO0ZZQH1H6U",
        "CARCVBWTPRH08",
        "CARVKGNGNLOCU",
        "CARFYXUKCQHBM",
        "CARLTTKCUYWRM",
        "CARTS5SW8LSJT",
        "CARKX7WW6UNS8",
        "CAR0EPDPJXXL4",
    )
)

METRO = ("110", "400", "700", "600", "560", "500", "411", "380")
REMOTE = ("18", "19", "737", "78", "79")

MAX_KG = Decimal(30)
VOLUMETRIC_DIVISOR = Decimal(5000)
PAISA = Decimal("0.01")


def zone(origin: str, destination: str) -> str:
    """`zone_a` (same city) to `zone_e` (Jammu, Kashmir, Ladakh and the north-east)."""
    if origin.startswith(REMOTE) or destination.startswith(REMOTE):
        return "zone_e"
    if origin[:3] == destination[:3]:
        return "zone_a"
    if origin[:2] == destination[:2]:
        return "zone_b"
    return "zone_c" if origin.startswith(METRO) and destination.startswith(METRO) else "zone_d"


def carriers(world: Velocity, origin: str, destination: str, *, cod: bool, flow: str) -> Sequence[Carrier]:
    """Who would carry a parcel on this lane, best first; nobody when either end is not served."""
    no_cash: frozenset[str] = world.knobs.prepaid_only if cod else frozenset()
    blocked = world.knobs.unserviceable | no_cash
    if origin in world.knobs.unserviceable or destination in blocked:
        return ()
    if zone(origin, destination) == "zone_e":
        return tuple(one for one in CARRIERS if one.name.startswith(("Delhivery", "Bluedart")))
    return tuple(one for one in CARRIERS if one.qc) if flow == "return" else CARRIERS


ZONE_DEARNESS = {
    "zone_a": Decimal("0.80"),
    "zone_b": Decimal("0.90"),
    "zone_c": Decimal("1.00"),
    "zone_d": Decimal("1.10"),
    "zone_e": Decimal("1.45"),
}


def charges(carrier: Carrier, origin: str, destination: str, kg: Decimal, cod: Decimal) -> Charges:
    """Rupees before tax."""
    freight = money((45 + 18 * kg) * carrier.dearness * ZONE_DEARNESS[zone(origin, destination)])
    return Charges(
        freight=freight,
        cod=money(max(Decimal(30), cod * Decimal("0.02"))) if cod else Decimal("0.00"),
        rto=money(freight * Decimal("0.9")),
    )


def applied_kg(kg: Decimal, length: Decimal, breadth: Decimal, height: Decimal) -> Decimal:
    """What is charged for: the heavier of real and volumetric (cm³ / 5,000)."""
    return max(kg, (length * breadth * height / VOLUMETRIC_DIVISOR).quantize(PAISA, ROUND_HALF_UP))


def money(amount: Decimal) -> Decimal:
    return amount.quantize(PAISA, ROUND_HALF_UP)
