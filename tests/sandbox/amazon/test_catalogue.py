"""The catalogue and FBA's stock, and that every operation served is one Amazon publishes."""

import re

import pytest

from shipcrowd.sandbox.amazon.limits import PLANS
from shipcrowd.sandbox.amazon.schemas import StockChange
from shipcrowd.sandbox.amazon.web import ROUTES

SELLER = "A1INSELLER0001"
INDIA = {"marketplaceIds": "A21TJRUUN4KGV"}
ITEMS = "/catalog/2022-04-01/items"
SUMMARIES = "/fba/inventory/v1/summaries"
HERE = {"granularityType": "Marketplace", "granularityId": "A21TJRUUN4KGV", **INDIA}


async def test_an_article_is_found_by_asin_sku_and_word(spapi, amazon):
    bottle = next(one for one in amazon.listings(SELLER) if one.sku == "BOT-1L-BLU")
    data = ["summaries", "dimensions", "images", "productTypes"]
    item = await spapi.get(f"{ITEMS}/{bottle.asin}", **INDIA, includedData=data)
    assert item["summaries"][0]["itemName"] == bottle.title
    assert item["dimensions"][0]["package"]["weight"] == {"unit": "kilograms", "value": 0.42}
    by_sku = await spapi.get(ITEMS, **INDIA, identifiers="BOT-1L-BLU", identifiersType="SKU", sellerId=SELLER)
    by_word = await spapi.get(ITEMS, **INDIA, keywords="bottle")
    assert [one["asin"] for one in by_sku["items"]] == [one["asin"] for one in by_word["items"]] == [bottle.asin]
    assert (await spapi.call("GET", f"{ITEMS}/B0NOTHING0", **INDIA)).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"identifiers": "A", "keywords": "b"},
        {"identifiers": "A", "identifiersType": "NAME"},
        {"identifiers": "A", "identifiersType": "SKU"},
        {"identifiers": [str(n) for n in range(21)], "identifiersType": "ASIN"},
    ],
)
async def test_the_catalogue_refuses_half_a_question(spapi, query):
    assert (await spapi.call("GET", ITEMS, **INDIA, **query)).status_code == 400


async def test_fba_stock_comes_in_pages_whose_tokens_die_young(spapi, amazon):
    for number in range(120):
        amazon.set_stock(SELLER, StockChange(sku=f"FBA-{number}", quantity=number, by_amazon=True, reserved=2))
    found, token = [], None
    while True:
        page = await spapi.get(SUMMARIES, **HERE, details="true", **({"nextToken": token} if token else {}))
        found += page["payload"]["inventorySummaries"]
        token = page.get("pagination", {}).get("nextToken")
        if token is None:
            break
        last = token
        amazon.pass_time(1)
    levels = {one["sellerSku"]: one["inventoryDetails"]["fulfillableQuantity"] for one in found}
    assert (len(found), levels["FBA-90"], levels["MAT-YOGA-FBA"]) == (121, 90, 100)
    assert "KURTA-BLU-M" not in levels
    amazon.pass_time(30)
    assert (await spapi.call("GET", SUMMARIES, **HERE, nextToken=last)).status_code == 400
    one = await spapi.get(SUMMARIES, **HERE, sellerSkus=["FBA-7"])
    assert [row["sellerSku"] for row in one["payload"]["inventorySummaries"]] == ["FBA-7"]
    assert "inventoryDetails" not in one["payload"]["inventorySummaries"][0]


async def test_fba_refuses_what_is_not_a_marketplace_or_too_old(spapi):
    assert (await spapi.call("GET", SUMMARIES, **{**HERE, "granularityType": "Shelf"})).status_code == 400
    assert (await spapi.call("GET", SUMMARIES, **HERE, startDateTime="2020-01-01T00:00:00Z")).status_code == 400


def test_every_operation_has_a_usage_plan():
    assert {one.operation for one in ROUTES} == set(PLANS)


def test_every_operation_is_published(published_operation):
    for route in ROUTES:
        path = re.sub(r"\(\?P<\w+>\[\^/\]\+\)", "x", route.pattern.pattern)
        named = published_operation(route.method, path)
        if route.operation == "cancelOrder":
            assert named is None, "cancelOrder has come into the model: hold its answers to it"
        else:
            assert named == route.operation
