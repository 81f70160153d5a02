"""Setting what a Shopify store may sell. The numbers are absolute: ShipCrowd is where the stock is counted.

`available` at Shopify already excludes what its open orders hold, so what comes in here is stock less reservations.
Each write says what it changes *from*; when someone else changed it meanwhile Shopify turns the whole call down, and
we read again, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shipcrowd.channels.contract import StockLevel, StockRefusal
from shipcrowd.integrations.shopify import documents
from shipcrowd.integrations.shopify.client import Rejected, ShopifyClient
from shipcrowd.integrations.shopify.raw import obj, objects, reading
from shipcrowd.integrations.shopify.words import gid, tail
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Json, Refused, Unavailable

_STALE = "CHANGE_FROM_QUANTITY_STALE"
_RUNNING = "IDEMPOTENCY_CONCURRENT_REQUEST"


@dataclass(frozen=True)
class _Held:
    """What Shopify has of one variant at one place."""

    item: str
    tracked: bool
    available: int | None  # None: it is not stocked there yet


async def push(client: ShopifyClient, levels: Sequence[StockLevel]) -> list[StockRefusal]:
    """Make Shopify's `available` match; what it would not take. Levels below zero are sent as zero.

    Of several levels for one variant and place the last counts. Variants may be given by their id, or by the GID
    of their inventory item; untracked ones and those that Shopify does not know come back refused.
    """
    latest = {(tail(level.location), _key(level)): level for level in levels}
    refused: list[StockRefusal] = []
    for place in dict.fromkeys(location for location, _ in latest):
        here = [level for (location, _), level in latest.items() if location == place]
        for start in range(0, len(here), documents.STOCK_PAGE):
            refused += await _push_page(client, place, here[start : start + documents.STOCK_PAGE])
    return refused


async def _push_page(client: ShopifyClient, place: str, levels: Sequence[StockLevel]) -> list[StockRefusal]:
    refused: list[StockRefusal] = []
    pending = list(levels)
    stale = False
    # Each further round is one re-read for stale numbers, or leaves out at least one level that was refused.
    for _ in range(len(levels) + 2):
        held = await _read(client, place, pending)
        for level in list(pending):
            objection = _objection(level, held.get(_key(level)))
            if objection:
                refused.append(objection)
                pending.remove(level)
        changes = [level for level in pending if held[_key(level)].available != _target(level)]
        if not changes:
            return refused
        try:
            await _set(client, place, [(held[_key(level)], level) for level in changes])
            return refused
        except Rejected as rejected:
            codes = {error.code for error in rejected.errors}
            if _RUNNING in codes:
                raise Unavailable("Shopify is still at work on the same stock", retry_after=2.0) from rejected
            if codes == {_STALE}:
                if stale:
                    raise Unavailable("the stock at Shopify keeps moving", retry_after=5.0) from rejected
                stale = True
                continue
            named = _named(rejected, changes)
            refused += named
            out = {refusal.external_variant_id for refusal in named}
            pending = [level for level in changes if level.external_variant_id not in out]
    return refused


async def _read(client: ShopifyClient, place: str, levels: Sequence[StockLevel]) -> dict[str, _Held]:
    if not levels:
        return {}
    answer = await client.execute(
        documents.STOCK,
        {"ids": [_gid(level) for level in levels], "loc": gid("Location", place)},
        repeatable=True,
    )
    held: dict[str, _Held] = {}
    for node in objects(answer.data.get("nodes")):  # null, so empty, for what Shopify no longer has
        item = obj(node.get("inventoryItem")) if "inventoryItem" in node else node
        if not item:
            continue
        level = obj(item.get("inventoryLevel"))
        with reading("stock level", node):
            quantities: Mapping[str, int] = {q["name"]: q["quantity"] for q in objects(level.get("quantities"))}
            held[node["id"]] = _Held(item["id"], item.get("tracked") is not False, quantities.get("available"))
    return held


async def _set(client: ShopifyClient, place: str, changes: Sequence[tuple[_Held, StockLevel]]) -> None:
    key = str(new_id())  # one key for this attempt: a repeat of the same call is the same change
    quantities: list[Json] = [
        {
            "inventoryItemId": held.item,
            "locationId": gid("Location", place),
            "quantity": _target(level),
            "changeFromQuantity": held.available,
        }
        for held, level in changes
    ]
    await client.execute(
        documents.SET_STOCK,
        {
            "key": key,
            "input": {
                "name": "available",
                "reason": "correction",
                "referenceDocumentUri": f"gid://shipcrowd/StockPush/{key}",
                "quantities": quantities,
            },
        },
        repeatable=True,
    )


def _objection(level: StockLevel, held: _Held | None) -> StockRefusal | None:
    if held is None:
        return StockRefusal(level.external_variant_id, "not_found", "Shopify no longer has this variant.")
    if not held.tracked:
        return StockRefusal(
            level.external_variant_id, "untracked", "Shopify does not track this variant's stock; switch it on there."
        )
    return None


def _named(rejected: Rejected, levels: Sequence[StockLevel]) -> list[StockRefusal]:
    """Which levels the errors speak of, by the index in their path; all of them where an error names none."""
    refusals: dict[int, StockRefusal] = {}
    for error in rejected.errors:
        code = error.code.lower() or "refused"
        index = next((int(step) for step in error.field if step.isdigit()), None)
        if index is None or index >= len(levels):
            if error.code == _STALE:
                continue
            return [StockRefusal(level.external_variant_id, code, error.message) for level in levels]
        if error.code != _STALE:
            refusals[index] = StockRefusal(levels[index].external_variant_id, code, error.message)
    if not refusals:
        raise Refused("stock_refused", rejected.message)
    return list(refusals.values())


def _target(level: StockLevel) -> int:
    return max(level.available, 0)


def _gid(level: StockLevel) -> str:
    return gid("ProductVariant", level.external_variant_id)


def _key(level: StockLevel) -> str:
    return _gid(level)
