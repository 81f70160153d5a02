"""Inventory: what orders commit, setting with compare, and idempotency."""

import pytest

from shipcrowd.sandbox.schemas import NewLine, NewOrder

SHOP = "asha-crafts.myshopify.com"


async def level(shopify, sku="CHAI-250"):
    location = (await shopify.data("Locations"))["locations"]["nodes"][0]["id"]
    item = (await shopify.data("StockBySku", q=f"sku:{sku}", loc=location))["inventoryItems"]["nodes"][0]
    counts = {one["name"]: one["quantity"] for one in item["inventoryLevel"]["quantities"]}
    return item["id"], location, counts


def setting(item, location, quantity, before, name="available"):
    entry = {"inventoryItemId": item, "locationId": location, "quantity": quantity, "changeFromQuantity": before}
    return {"name": name, "reason": "correction", "quantities": [entry]}


async def test_an_order_commits_stock_and_shipping_it_takes_it_off_the_shelf(shopify, desk):
    placed = desk.place_order(SHOP, NewOrder(lines=(NewLine(sku="CHAI-250", quantity=3),)))
    assert (await level(shopify))[2] == {"available": 97, "on_hand": 100, "committed": 3}
    desk.fulfil_elsewhere(SHOP, placed.name, "AWB-1")
    assert (await level(shopify))[2] == {"available": 97, "on_hand": 97, "committed": 0}
    other = desk.place_order(SHOP, NewOrder(lines=(NewLine(sku="CHAI-250", quantity=5),)))
    desk.cancel_order(SHOP, other.name)
    assert (await level(shopify))[2] == {"available": 97, "on_hand": 97, "committed": 0}


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("available", 97, {"available": 40, "on_hand": 43, "committed": 3}),
        ("on_hand", 100, {"available": 37, "on_hand": 40, "committed": 3}),
    ],
)
async def test_a_level_is_set_when_it_is_what_the_app_thought(shopify, desk, name, before, after):
    desk.place_order(SHOP, NewOrder(lines=(NewLine(sku="CHAI-250", quantity=3),)))
    item, location, _ = await level(shopify)
    done = await shopify.data("SetStock", input=setting(item, location, 40, before, name), key="k-1")
    assert done["inventorySetQuantities"]["userErrors"] == []
    assert (await level(shopify))[2] == after


async def test_a_stale_comparison_fails_the_whole_call(shopify):
    item, location, _ = await level(shopify)
    other, _, _ = await level(shopify, "MAT-YOGA")
    given = setting(item, location, 40, 100)
    given["quantities"] += setting(other, location, 7, 55)["quantities"]
    answer = (await shopify.data("SetStock", input=given, key="k-2"))["inventorySetQuantities"]
    assert [error["code"] for error in answer["userErrors"]] == ["CHANGE_FROM_QUANTITY_STALE"]
    assert answer["userErrors"][0]["field"] == ["input", "quantities", "1", "changeFromQuantity"]
    assert (await level(shopify))[2]["available"] == 100, "nothing of it happened"


async def test_null_opts_out_of_comparing_but_leaving_it_out_is_an_error(shopify):
    item, location, _ = await level(shopify)
    done = await shopify.data("SetStock", input=setting(item, location, 5, None), key="k-3")
    assert done["inventorySetQuantities"]["userErrors"] == []
    given = setting(item, location, 6, None)
    del given["quantities"][0]["changeFromQuantity"]
    answer = await shopify.ask("SetStock", input=given, key="k-4")
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_FIELD_ARGUMENTS"
    assert (await level(shopify))[2]["available"] == 5


async def test_the_same_key_gives_the_stored_answer_and_does_nothing_again(shopify):
    item, location, _ = await level(shopify)
    change = {"name": "available", "reason": "correction", "changes": [
        {"inventoryItemId": item, "locationId": location, "delta": -4, "changeFromQuantity": None}]}  # fmt: skip
    first = await shopify.data("AdjustStock", input=change, key="same")
    second = await shopify.data("AdjustStock", input=change, key="same")
    assert first == second
    assert (await level(shopify))[2]["available"] == 96
    change["changes"][0]["delta"] = -5
    other = (await shopify.data("AdjustStock", input=change, key="same"))["inventoryAdjustQuantities"]
    assert other["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    assert (await level(shopify))[2]["available"] == 96


async def test_the_directive_is_mandatory_since_april_2026(shopify):
    item, location, _ = await level(shopify)
    query = shopify.documents["SetStock"].replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    answer = (await shopify.post(query, {"input": setting(item, location, 5, 100)})).json()
    assert (
        answer["errors"][0]["message"]
        == "The @idempotent directive is required for this mutation but was not provided."
    )
    shopify.version = "2026-01"
    assert "errors" not in (await shopify.post(query, {"input": setting(item, location, 5, 100)})).json()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"inventoryItemId": "gid://shopify/InventoryItem/1"}, "INVALID_INVENTORY_ITEM"),
        ({"locationId": "gid://shopify/Location/1"}, "INVALID_LOCATION"),
        ({"quantity": -1}, "INVALID_QUANTITY_NEGATIVE"),
        ({"quantity": 2_000_000_000}, "INVALID_QUANTITY_TOO_HIGH"),
    ],
)
async def test_each_bad_entry_is_named(shopify, changes, code):
    item, location, _ = await level(shopify)
    given = setting(item, location, 5, None)
    given["quantities"][0] |= changes
    answer = (await shopify.data("SetStock", input=given, key=code))["inventorySetQuantities"]
    assert [error["code"] for error in answer["userErrors"]] == [code]


async def test_variants_are_listed_with_what_mapping_needs(shopify):
    first = (await shopify.data("Variants", first=5))["productVariants"]
    assert first["pageInfo"]["hasNextPage"]
    rest = (await shopify.data("Variants", first=5, after=first["pageInfo"]["endCursor"]))["productVariants"]
    found = {one["sku"]: one for one in [*first["nodes"], *rest["nodes"]]}
    assert len(found) == 8
    assert found["KURTA-M-IND"]["price"] == "1299.00"
    assert found["KURTA-M-IND"]["inventoryItem"]["measurement"]["weight"] == {"value": 350.0, "unit": "GRAMS"}
