"""The counts behind a shop's inventory, and the two ways an app may change them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shipcrowd.kernel import clock
from shipcrowd.sandbox.shopify import payloads
from shipcrowd.sandbox.shopify.goods import Level, Location
from shipcrowd.sandbox.shopify.hooks import publish
from shipcrowd.sandbox.shopify.orders import LineItem
from shipcrowd.sandbox.shopify.state import Shop, Shopify

MAX_ENTRIES = 250
LARGEST = 1_000_000_000
REASONS = frozenset(
    (
        "correction",
        "cycle_count_available",
        "received",
        "restock",
        "damaged",
        "shrinkage",
        "promotion",
        "quality_control",
        "other",
        "movement_created",
        "movement_updated",
        "movement_received",
        "movement_canceled",
        "reservation_created",
        "reservation_updated",
        "reservation_deleted",
        "safety_stock",
    )
)


@dataclass(frozen=True)
class StockError:
    code: str
    field: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class StockChange:
    name: str
    delta: int
    after: int


def commit(world: Shopify, shop: Shop, line: LineItem, place: Location, units: int) -> None:
    """An order takes `units` (negative: gives back) of what is available."""
    if line.variant and line.variant.item.tracked and units:
        level = shop.level(line.variant.item, place)
        level.available -= units
        level.committed += units
        _announce(world, shop, level)


def uncommit(world: Shopify, shop: Shop, line: LineItem, place: Location, units: int, *, restock: bool) -> None:
    """An order lets go of `units`; without restock they leave the count altogether."""
    if line.variant and line.variant.item.tracked and units:
        level = shop.level(line.variant.item, place)
        level.committed -= units
        if restock:
            level.available += units
            _announce(world, shop, level)


def ship(world: Shopify, shop: Shop, line: LineItem, place: Location, units: int) -> None:
    if line.variant and line.variant.item.tracked:
        shop.level(line.variant.item, place).committed -= units


def unship(world: Shopify, shop: Shop, line: LineItem, place: Location, units: int) -> None:
    if line.variant and line.variant.item.tracked:
        shop.level(line.variant.item, place).committed += units


def change(
    world: Shopify,
    shop: Shop,
    *,
    name: str,
    reason: str,
    entries: Sequence[Mapping[str, object]],
    absolute: bool,
) -> list[StockChange] | list[StockError]:
    """Set (`absolute`, entries hold `quantity`) or adjust (`delta`) levels. All of it happens, or none of it."""
    errors = list(_wrong(shop, name, reason, entries, absolute=absolute))
    if errors:
        return errors
    done: list[StockChange] = []
    for entry in entries:
        level = _level(shop, entry)
        assert level is not None
        now = level.quantity(name) or 0
        amount = int(str(entry["quantity" if absolute else "delta"]))
        delta = amount - now if absolute else amount
        if not level.item.tracked:
            continue  # accepted, and without effect
        level.available += delta
        level.updated_at = clock.now()
        done.append(StockChange(name, delta, now + delta))
        other = "on_hand" if name == "available" else "available"
        done.append(StockChange(other, delta, level.quantity(other) or 0))
        if delta:
            _announce(world, shop, level)
    return done


def _wrong(
    shop: Shop, name: str, reason: str, entries: Sequence[Mapping[str, object]], *, absolute: bool
) -> list[StockError]:
    errors: list[StockError] = []
    listed = "quantities" if absolute else "changes"

    def add(code: str, message: str, *path: str) -> None:
        errors.append(StockError(code, ("input", *path), message))

    if name not in (("available", "on_hand") if absolute else ("available",)):
        code = "INVALID_NAME" if absolute else "INVALID_QUANTITY_NAME"
        add(code, "The specified quantity name is invalid.", "name")
    if reason not in REASONS:
        add("INVALID_REASON", "The specified reason is invalid.", "reason")
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(entries):
        at = (listed, str(index))
        key = (str(entry["inventoryItemId"]), str(entry["locationId"]))
        if shop.item(key[0]) is None:
            add("INVALID_INVENTORY_ITEM", "The specified inventory item could not be found.", *at, "inventoryItemId")
            continue
        if shop.location(key[1]) is None:
            add("INVALID_LOCATION", "The specified location could not be found.", *at, "locationId")
            continue
        if absolute and key in seen:
            code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
            add(code, "The combination of inventoryItemId and locationId must be unique.", *at)
        seen.add(key)
        level = _level(shop, entry)
        assert level is not None
        now = level.quantity(name) or 0
        after = int(str(entry["quantity"])) if absolute else now + int(str(entry["delta"]))
        if absolute and after < 0:
            add("INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.", *at, "quantity")
        if after > LARGEST:
            add("INVALID_QUANTITY_TOO_HIGH", "The quantity can't be higher than 1,000,000,000.", *at, "quantity")
        expected = entry.get("changeFromQuantity")
        if expected is not None and int(str(expected)) != now:
            text = "The changeFromQuantity value does not match the current quantity."
            add("CHANGE_FROM_QUANTITY_STALE", text, *at, "changeFromQuantity")
    return errors


def _level(shop: Shop, entry: Mapping[str, object]) -> Level | None:
    item = shop.item(str(entry["inventoryItemId"]))
    place = shop.location(str(entry["locationId"]))
    return shop.level(item, place) if item and place else None


def _announce(world: Shopify, shop: Shop, level: Level) -> None:
    level.updated_at = clock.now()
    publish(world, shop, "inventory_levels/update", payloads.level(level))
