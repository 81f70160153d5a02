from typing import Any

import pytest

from shipcrowd.channels.contract import StockLevel
from shipcrowd.integrations.shopify import documents
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable


def level(variant: str, available: int, place: str = "58") -> StockLevel:
    return StockLevel(variant, place, available)


def held(variant: int, available: int | None, *, tracked: bool = True) -> dict[str, Any]:
    there = None if available is None else {"id": "l", "quantities": [{"name": "available", "quantity": available}]}
    item = {"id": f"gid://shopify/InventoryItem/{variant + 1000}", "tracked": tracked, "inventoryLevel": there}
    return {
        "__typename": "ProductVariant",
        "id": f"gid://shopify/ProductVariant/{variant}",
        "inventoryItem": item,
    }


def read(*nodes: Any) -> dict[str, Any]:
    return {"nodes": list(nodes)}


DONE = {"inventorySetQuantities": {"inventoryAdjustmentGroup": {"id": "g"}, "userErrors": []}}


def rejected(code: str, index: int | None = None) -> dict[str, Any]:
    path = ["input", "quantities"] + ([] if index is None else [str(index), "quantity"])
    return {"inventorySetQuantities": {"userErrors": [{"code": code, "field": path, "message": f"{code}!"}]}}


async def push(shop, *levels: StockLevel):
    return list(await shop.channel().set_stock(levels))


def quantities(shop, nth: int = -1) -> list[dict[str, Any]]:
    return shop.variables("SetStock")[nth]["input"]["quantities"]


async def test_levels_are_set_from_what_is_there_with_a_key_of_their_own(shop):
    shop.on("Stock", read(held(1, 41))).on("SetStock", DONE)
    assert await push(shop, level("1", 37)) == []
    assert shop.variables("Stock") == [{"ids": ["gid://shopify/ProductVariant/1"], "loc": "gid://shopify/Location/58"}]
    [sent] = shop.variables("SetStock")
    assert sent["input"]["name"] == "available"
    assert sent["input"]["reason"] == "correction"
    assert sent["key"] in sent["input"]["referenceDocumentUri"]
    assert sent["input"]["quantities"] == [
        {
            "inventoryItemId": "gid://shopify/InventoryItem/1001",
            "locationId": "gid://shopify/Location/58",
            "quantity": 37,
            "changeFromQuantity": 41,
        }
    ]


async def test_what_is_right_already_is_not_touched(shop):
    shop.on("Stock", read(held(1, 37)))
    assert await push(shop, level("1", 37)) == []
    assert await push(shop) == []
    assert shop.operations() == ["Stock"]


async def test_a_variant_not_yet_stocked_there_is_set_from_nothing(shop):
    shop.on("Stock", read(held(1, None))).on("SetStock", DONE)
    await push(shop, level("1", 5))
    assert quantities(shop)[0]["changeFromQuantity"] is None


async def test_oversold_is_zero_and_the_last_word_on_a_variant_counts(shop):
    shop.on("Stock", read(held(1, 4))).on("SetStock", DONE)
    await push(shop, level("1", 9), level("gid://shopify/ProductVariant/1", -2))
    assert [q["quantity"] for q in quantities(shop)] == [0]


async def test_an_inventory_item_may_be_named_directly(shop):
    node = held(1, 4)["inventoryItem"] | {"__typename": "InventoryItem"}
    shop.on("Stock", read(node)).on("SetStock", DONE)
    assert await push(shop, level("gid://shopify/InventoryItem/1001", 9)) == []
    assert quantities(shop)[0]["inventoryItemId"] == "gid://shopify/InventoryItem/1001"


async def test_unknown_and_untracked_variants_come_back_and_the_rest_goes(shop):
    shop.on("Stock", read(held(1, 1), None, held(3, 1, tracked=False))).on("SetStock", DONE)
    refusals = await push(shop, level("1", 5), level("2", 5), level("3", 5))
    assert [(r.external_variant_id, r.code) for r in refusals] == [("2", "not_found"), ("3", "untracked")]
    assert len(quantities(shop)) == 1


async def test_stock_that_moved_meanwhile_is_read_again_once_with_a_new_key(shop):
    shop.on("Stock", read(held(1, 41)), read(held(1, 40)))
    shop.on("SetStock", rejected("CHANGE_FROM_QUANTITY_STALE"), DONE)
    assert await push(shop, level("1", 37)) == []
    first, second = shop.variables("SetStock")
    assert first["key"] != second["key"]
    assert quantities(shop)[0]["changeFromQuantity"] == 40


async def test_stock_that_keeps_moving_is_left_for_later(shop):
    shop.on("Stock", read(held(1, 41))).on("SetStock", rejected("CHANGE_FROM_QUANTITY_STALE", 0))
    with pytest.raises(Unavailable):
        await push(shop, level("1", 37))
    assert len(shop.variables("SetStock")) == 2


async def test_the_same_change_still_running_is_waited_for(shop):
    shop.on("Stock", read(held(1, 41))).on("SetStock", rejected("IDEMPOTENCY_CONCURRENT_REQUEST"))
    with pytest.raises(Unavailable) as raised:
        await push(shop, level("1", 37))
    assert raised.value.retry_after == 2.0


async def test_a_refused_level_is_left_out_and_the_rest_sent_again(shop):
    shop.on("Stock", read(held(1, 1), held(2, 1)), read(held(1, 1)))
    shop.on("SetStock", rejected("INVALID_QUANTITY_TOO_HIGH", 1), DONE)
    refusals = await push(shop, level("1", 5), level("2", 9_999_999))
    assert [(r.external_variant_id, r.code) for r in refusals] == [("2", "invalid_quantity_too_high")]
    assert [q["quantity"] for q in quantities(shop)] == [5]


async def test_a_refusal_that_names_no_level_refuses_them_all(shop):
    shop.on("Stock", read(held(1, 1), held(2, 1))).on("SetStock", rejected("INVALID_LOCATION"))
    refusals = await push(shop, level("1", 5), level("2", 6))
    assert [(r.external_variant_id, r.code) for r in refusals] == [("1", "invalid_location"), ("2", "invalid_location")]
    assert len(shop.variables("SetStock")) == 1


async def test_a_mixture_of_stale_and_refused_leaves_out_only_the_refused(shop):
    errors = [
        {"code": "CHANGE_FROM_QUANTITY_STALE", "field": ["input"], "message": "stale"},
        {"code": "NON_MUTABLE_INVENTORY_ITEM", "field": ["input", "quantities", "1"], "message": "fixed"},
    ]
    shop.on("Stock", read(held(1, 1), held(2, 1)), read(held(1, 2)))
    shop.on("SetStock", {"inventorySetQuantities": {"userErrors": errors}}, DONE)
    refusals = await push(shop, level("1", 5), level("2", 6))
    assert [r.external_variant_id for r in refusals] == ["2"]
    assert quantities(shop)[0]["changeFromQuantity"] == 2


async def test_many_levels_go_in_pages_place_by_place(shop):
    count = documents.STOCK_PAGE + 1

    def answer(variables: dict[str, Any]) -> dict[str, Any]:
        return read(*(held(int(gid.rsplit("/", 1)[1]), 0) for gid in variables["ids"]))

    shop.on("Stock", answer).on("SetStock", DONE)
    assert await push(shop, *(level(str(n), 1) for n in range(count)), level("1", 7, place="59")) == []
    assert [len(v["ids"]) for v in shop.variables("Stock")] == [documents.STOCK_PAGE, 1, 1]
    assert [len(v["input"]["quantities"]) for v in shop.variables("SetStock")] == [documents.STOCK_PAGE, 1, 1]
    assert shop.variables("Stock")[2]["loc"] == "gid://shopify/Location/59"


async def test_a_level_of_another_shape_is_malformed(shop):
    node = held(1, 4)
    node["inventoryItem"]["inventoryLevel"]["quantities"] = [{"quantity": 4}]
    shop.on("Stock", read(node))
    with pytest.raises(Malformed):
        await push(shop, level("1", 9))


async def test_a_systemic_refusal_is_raised(shop):
    denied = {"message": "Required access: `read_inventory`", "extensions": {"code": "ACCESS_DENIED"}}
    shop.on("Stock", {"errors": [denied]})
    with pytest.raises(Refused) as raised:
        await push(shop, level("1", 9))
    assert raised.value.code == "missing_scope"
