"""Where Amazon's marketplaces live: one API host for each region, one Seller Central for each marketplace.

Source: Amazon's "Marketplace IDs" and "SP-API endpoints" pages. India belongs to the European region.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shipcrowd.kernel.errors import Invalid


class UnknownMarketplace(Invalid):
    """Amazon has no such marketplace, or ShipCrowd does not know it."""


class Region(StrEnum):
    """A region of the Selling Partner API. Its value is its host."""

    europe = "sellingpartnerapi-eu.amazon.com"
    north_america = "sellingpartnerapi-na.amazon.com"
    far_east = "sellingpartnerapi-fe.amazon.com"


@dataclass(frozen=True)
class Marketplace:
    """One of Amazon's shops. `country` is what a seller types, `currency` what it trades in."""

    id: str
    country: str
    currency: str
    timezone: str
    region: Region
    seller_central: str

    @property
    def api(self) -> str:
        return f"https://{self.region.value}"


INDIA = Marketplace(
    "A21TJRUUN4KGV", "IN", "INR", "Asia/Kolkata", Region.europe, "https://sellercentral.amazon.in"
)  # fmt: skip

_EU, _NA, _FE = Region.europe, Region.north_america, Region.far_east
_EUROPE = "https://sellercentral-europe.amazon.com"
_AMERICA = "https://sellercentral.amazon.com"

MARKETPLACES: Sequence[Marketplace] = (
    INDIA,
    Marketplace("A2VIGQ35RCS4UG", "AE", "AED", "Asia/Dubai", _EU, "https://sellercentral.amazon.ae"),
    Marketplace("A17E79C6D8DWNP", "SA", "SAR", "Asia/Riyadh", _EU, "https://sellercentral.amazon.sa"),
    Marketplace("ARBP9OOSHTCHU", "EG", "EGP", "Africa/Cairo", _EU, "https://sellercentral.amazon.eg"),
    Marketplace("A33AVAJ2PDY3EV", "TR", "TRY", "Europe/Istanbul", _EU, "https://sellercentral.amazon.com.tr"),
    Marketplace("A1F83G8C2ARO7P", "GB", "GBP", "Europe/London", _EU, _EUROPE),
    Marketplace("A1PA6795UKMFR9", "DE", "EUR", "Europe/Berlin", _EU, _EUROPE),
    Marketplace("A13V1IB3VIYZZH", "FR", "EUR", "Europe/Paris", _EU, _EUROPE),
    Marketplace("APJ6JRA9NG5V4", "IT", "EUR", "Europe/Rome", _EU, _EUROPE),
    Marketplace("A1RKKUPIHCS9HS", "ES", "EUR", "Europe/Madrid", _EU, _EUROPE),
    Marketplace("ATVPDKIKX0DER", "US", "USD", "America/Los_Angeles", _NA, _AMERICA),
    Marketplace("A2EUQ1WTGCTBG2", "CA", "CAD", "America/Toronto", _NA, "https://sellercentral.amazon.ca"),
    Marketplace("A1AM78C64UM0Y8", "MX", "MXN", "America/Mexico_City", _NA, "https://sellercentral.amazon.com.mx"),
    Marketplace("A2Q3Y263D00KWC", "BR", "BRL", "America/Sao_Paulo", _NA, "https://sellercentral.amazon.com.br"),
    Marketplace("A19VAU5U5O7RUS", "SG", "SGD", "Asia/Singapore", _FE, "https://sellercentral.amazon.sg"),
    Marketplace("A39IBJ37TRP1C6", "AU", "AUD", "Australia/Sydney", _FE, "https://sellercentral.amazon.com.au"),
    Marketplace("A1VC38T7YXB528", "JP", "JPY", "Asia/Tokyo", _FE, "https://sellercentral.amazon.co.jp"),
)

_BY_NAME: Mapping[str, Marketplace] = {place.id: place for place in MARKETPLACES} | {
    place.country: place for place in MARKETPLACES
}


def marketplace(typed: str) -> Marketplace:
    """A marketplace by its id or its country; blank is India. Raises UnknownMarketplace, naming those there are."""
    name = typed.strip().upper()
    if not name:
        return INDIA
    if name not in _BY_NAME:
        known = ", ".join(place.country for place in MARKETPLACES)
        raise UnknownMarketplace(f"Type the marketplace's country, one of {known}.", field="marketplace")
    return _BY_NAME[name]
