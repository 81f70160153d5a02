"""The fields of goods, stock, the shop itself, its webhook subscriptions and bulk operations."""

from shipcrowd.sandbox.shopify import bulk
from shipcrowd.sandbox.shopify.call import (
    FIELDS,
    Args,
    Connection,
    Info,
    by_id,
    call,
    constant,
    field_of,
    paged,
    plain,
)
from shipcrowd.sandbox.shopify.goods import InventoryItem, Level, Location, Variant
from shipcrowd.sandbox.shopify.state import BulkOperation, Subscription


@field_of("ProductVariant", "inventoryQuantity")
def inventory_quantity(source: Variant, info: Info, args: Args) -> int:
    shop_ = call(info).shop
    return sum(level.available for level in shop_.levels.values() if level.item is source.item)


FIELDS.update(
    {
        ("ProductVariant", "inventoryItem"): lambda source, info, args: source.item,
        ("ProductVariant", "displayName"): lambda source, info, args: f"{source.product.title} - {source.title}",
        ("InventoryItem", "legacyResourceId"): lambda source, info, args: str(source.id),
        ("InventoryItem", "harmonizedSystemCode"): lambda source, info, args: source.hsn,
        ("InventoryItem", "measurement"): lambda source, info, args: {
            "weight": {"value": float(source.grams), "unit": "GRAMS"}
        },
        ("InventoryItem", "duplicateSkuCount"): lambda source, info, args: (
            sum(variant.sku == source.sku for variant in call(info).shop.variants) - 1
        ),
        ("Location", "legacyResourceId"): lambda source, info, args: str(source.id),
        ("Location", "fulfillsOnlineOrders"): constant(True),
        ("Location", "shipsInventory"): constant(True),
        ("Shop", "myshopifyDomain"): lambda source, info, args: source.domain,
        ("Shop", "currencyCode"): lambda source, info, args: source.currency,
        ("Shop", "ianaTimezone"): constant("Asia/Kolkata"),
        ("Shop", "taxesIncluded"): constant(True),
        ("Shop", "plan"): constant({"publicDisplayName": "Basic", "partnerDevelopment": False, "shopifyPlus": False}),
    }
)


@field_of("InventoryItem", "variants")
def variants_of(source: InventoryItem, info: Info, args: Args) -> Connection:
    found = [variant for variant in call(info).shop.variants if variant.item is source]
    return paged(found, args, info, by_id)


@field_of("InventoryItem", "inventoryLevel")
def inventory_level(source: InventoryItem, info: Info, args: Args) -> Level | None:
    shop_ = call(info).shop
    place = shop_.location(args["locationId"])
    return shop_.levels.get((source.id, place.id)) if place else None


@field_of("InventoryItem", "inventoryLevels")
def inventory_levels(source: InventoryItem, info: Info, args: Args) -> Connection:
    found = [level for level in call(info).shop.levels.values() if level.item is source]
    return paged(sorted(found, key=by_id), args, info, by_id)


@field_of("InventoryLevel", "quantities")
def quantities(source: Level, info: Info, args: Args) -> list[dict[str, object]]:
    return [
        {"name": name, "quantity": source.quantity(name) or 0, "updatedAt": plain(source.updated_at)}
        for name in args["names"]
    ]


@field_of("Location", "address")
def location_address(source: Location, info: Info, args: Args) -> dict[str, object]:
    return {
        "address1": source.address1,
        "address2": None,
        "city": source.city,
        "provinceCode": source.province_code,
        "zip": source.zip,
        "country": "India",
        "countryCode": "IN",
    }


@field_of("WebhookSubscription", "apiVersion")
def api_version(source: Subscription, info: Info, args: Args) -> dict[str, object]:
    handle = source.app.webhook_version
    return {"handle": handle, "displayName": handle, "supported": True}


FIELDS["WebhookSubscription", "format"] = constant("JSON")


@field_of("BulkOperation", "objectCount")
def object_count(source: BulkOperation, info: Info, args: Args) -> str:
    return str(len(source.lines)) if source.status == "COMPLETED" else "0"


@field_of("BulkOperation", "fileSize")
def file_size(source: BulkOperation, info: Info, args: Args) -> str | None:
    return str(sum(len(line.encode()) + 1 for line in source.lines)) if bulk.url_of(source) else None


FIELDS["BulkOperation", "url"] = lambda source, info, args: bulk.url_of(source)
FIELDS["BulkOperation", "partialDataUrl"] = constant(None)
