"""Amazon's words for goods (listings, their stock, the catalogue), turned into ours. Pure: no network, no clock.

Source: listings items 2021-08-01, FBA inventory v1, catalog items 2022-04-01, the merchant listings report, version 2.0
of the listings feed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from shipcrowd.channels.contract import Listing, MarketplaceLevel
from shipcrowd.integrations.amazon import mapping
from shipcrowd.integrations.amazon.raw import objects, reading, text, within
from shipcrowd.integrations.amazon.regions import Marketplace
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Json, Malformed
from shipcrowd.orders.schemas import Fulfilment

OURS = "DEFAULT"
"""The channel of stock that is the seller's own."""
AMAZONS = "AMAZON"
"""How the channels begin whose stock lies in Amazon's warehouses: AMAZON_IN and its like."""

_GRAMS: Mapping[str, Decimal] = {
    "grams": Decimal(1),
    "kilograms": Decimal(1000),
    "pounds": Decimal("453.59237"),
    "ounces": Decimal("28.349523125"),
    "milligrams": Decimal("0.001"),
}
_BARCODES = ("EAN", "GTIN", "UPC", "JAN", "ISBN")
_REPORTED_BARCODES = frozenset("234")  # of the report's product-id-type: ISBN, UPC, EAN; 1 is an ASIN


@dataclass(frozen=True)
class Details:
    """What the catalogue knows of a product and the listing does not say."""

    barcode: str | None = None
    weight_grams: int | None = None


# --- listings -------------------------------------------------------------------------------------------------------


def listing(raw: Mapping[str, Json], place: Marketplace) -> Listing:
    """One of the seller's listings. Raises Malformed."""
    with reading("listing", dict(raw)):
        sku = text(raw["sku"])
        if not sku:
            raise Malformed("a listing without a SKU")
        summary = _at(place, raw.get("summaries"))
        return Listing(
            external_variant_id=sku,
            external_product_id=text(summary.get("asin")),
            sku=sku,
            title=text(summary.get("itemName")) or sku,
            price=_offered(place, raw.get("offers")),
            fulfilment=fulfilment(raw, place),
        )


def fulfilment(raw: Mapping[str, Json], place: Marketplace) -> Fulfilment | None:
    """Who ships what this listing sells; None where Amazon does not say. In doubt it is Amazon: what lies there must
    never be given a number of ours. Raises Malformed."""
    codes = {text(each.get("fulfillmentChannelCode")) for each in objects(raw.get("fulfillmentAvailability"))}
    if any(code.startswith(AMAZONS) for code in codes):
        return Fulfilment.marketplace_warehouse
    if OURS in codes:
        return Fulfilment.seller
    # Only what goes through Amazon's warehouses has a number there.
    return Fulfilment.marketplace_warehouse if text(_at(place, raw.get("summaries")).get("fnSku")) else None


def reported(row: Mapping[str, str]) -> Listing | None:
    """One line of the merchant listings report; None where it names no SKU."""
    sku = row.get("seller-sku", "")
    if not sku:
        return None
    kind, product = row.get("product-id-type", ""), row.get("product-id", "")
    channel = row.get("fulfillment-channel", "")
    return Listing(
        external_variant_id=sku,
        external_product_id=row.get("asin1", "") or (product if kind == "1" else ""),
        sku=sku,
        title=row.get("item-name", "") or sku,
        price=_rupees(row.get("price")),
        barcode=product or None if kind in _REPORTED_BARCODES else None,
        fulfilment=(
            Fulfilment.marketplace_warehouse
            if channel.startswith(AMAZONS)
            else Fulfilment.seller
            if channel == OURS
            else None
        ),
    )


# --- FBA ------------------------------------------------------------------------------------------------------------


def marketplace_level(raw: Mapping[str, Json]) -> MarketplaceLevel:
    """What Amazon's warehouses hold of one SKU. Raises Malformed for one without a SKU, and for numbers that are none:
    to leave such a one out would make us think that it is not there."""
    with reading("stock", dict(raw)):
        sku = text(raw["sellerSku"])
        if not sku:
            raise Malformed("stock without a SKU")
        held = within(raw, "inventoryDetails")
        inbound = {
            name: _units(held.get(name))
            for name in ("inboundWorkingQuantity", "inboundShippedQuantity", "inboundReceivingQuantity")
        }
        reserved, lost = within(held, "reservedQuantity"), within(held, "unfulfillableQuantity")
        return MarketplaceLevel(
            sku=sku,
            sellable=_units(held.get("fulfillableQuantity")),
            inbound=sum(inbound.values()),
            reserved=_units(reserved.get("totalReservedQuantity")),
            unfulfillable=_units(lost.get("totalUnfulfillableQuantity")),
            external_variant_id=sku,
            external_product_id=text(raw.get("asin")) or None,
            as_of=mapping.moment(raw.get("lastUpdatedTime")),
            details={
                **{name: text(raw[name]) for name in ("fnSku", "condition") if raw.get(name)},
                "totalQuantity": _units(raw.get("totalQuantity")),
                "researchingQuantity": _units(within(held, "researchingQuantity").get("totalResearchingQuantity")),
                **inbound,
                **{name: each for name, each in reserved.items() if _whole(each)},
                **{name: each for name, each in lost.items() if _whole(each)},
            },
        )


# --- catalogue ------------------------------------------------------------------------------------------------------


def details(raw: Mapping[str, Json], place: Marketplace) -> Details:
    """Barcode and packed weight of a catalogue item; what cannot be read of them is left out. Raises Malformed."""
    with reading("catalogue item", dict(raw)):
        numbers = objects(_at(place, raw.get("identifiers")).get("identifiers"))
        by_kind = {text(each.get("identifierType")).upper(): text(each.get("identifier")) for each in numbers}
        sizes = _at(place, raw.get("dimensions"))
        weights = (_grams(within(sizes, part, "weight")) for part in ("package", "item"))
        return Details(
            barcode=next((by_kind[kind] for kind in _BARCODES if by_kind.get(kind)), None),
            weight_grams=next((grams for grams in weights if grams), None),
        )


# --- the report of a listings feed ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Issue:
    """What is wrong with one change of a listing. `sku` is blank where Amazon does not say whose."""

    sku: str
    code: str
    message: str


def errors(issues: Json, sku: str = "") -> list[Issue]:
    """Those issues that kept a change from being made; a warning does not. Raises Malformed."""
    return [
        Issue(
            text(each.get("sku")) or sku,
            text(each.get("code")) or "refused",
            text(each.get("message")) or "Amazon gave no reason.",
        )
        for each in objects(issues)
        if text(each.get("severity")).upper() == "ERROR"
    ]


def joined(issues: Sequence[Issue]) -> tuple[str, str]:
    """One code and all the words of what is wrong with one listing."""
    return issues[0].code, " ".join(dict.fromkeys(issue.message for issue in issues))


# --- parts ----------------------------------------------------------------------------------------------------------


def _at(place: Marketplace, parts: Json) -> dict[str, Json]:
    """The part that is about this marketplace; empty where there is none."""
    for part in objects(parts):
        if text(part.get("marketplaceId")) in (place.id, ""):
            return part
    return {}


def _offered(place: Marketplace, offers: Json) -> Money | None:
    """What a private buyer pays; None where nothing is offered to them here in the marketplace's own money."""
    for offer in objects(offers):
        price = within(offer, "price")
        here = text(offer.get("marketplaceId")) in (place.id, "") and text(offer.get("offerType")) in ("B2C", "")
        if here and text(price.get("currencyCode")) == place.currency:
            return _rupees(text(price.get("amount")))
    return None


def _rupees(amount: str | None) -> Money | None:
    try:
        return Money.rupees(amount) if amount else None
    except ValueError:
        return None


def _units(value: Json) -> int:
    if value is None:
        return 0
    if not _whole(value):
        raise Malformed("a number of units is none")
    return value


def _whole(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _grams(weight: Mapping[str, Json]) -> int | None:
    factor = _GRAMS.get(text(weight.get("unit")).lower())
    try:
        amount = Decimal(text(weight.get("value")))
        grams = int((amount * factor).to_integral_value()) if factor and amount.is_finite() else 0
    except InvalidOperation:
        return None
    return grams if 0 < grams < 1_000_000 else None
