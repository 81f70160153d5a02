"""Listings Items: an invalid change is a 200, an accepted one shows later, and paths hold any SKU."""

from urllib.parse import quote

import httpx2
import pytest

from shipcrowd.sandbox.amazon.schemas import NewSeller, StockChange

SELLER = "A1INSELLER0001"
ITEMS = f"/listings/2021-08-01/items/{SELLER}"
INDIA = {"marketplaceIds": "A21TJRUUN4KGV"}


def stock(quantity, *, op="merge", product_type="PRODUCT", path="/attributes/fulfillment_availability", **more):
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": quantity, **more}]
    return {"productType": product_type, "patches": [{"op": op, "path": path, "value": value}]}


async def patch(spapi, sku, body, **query):
    reply = await spapi.call("PATCH", f"{ITEMS}/{quote(sku, safe='')}", body, **INDIA, **query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def listed(amazon, sku):
    return next(one for one in amazon.listings(SELLER) if one.sku == sku)


async def test_an_accepted_quantity_shows_after_a_while(spapi, amazon):
    answer = await patch(spapi, "KURTA-BLU-M", stock(18))
    assert (answer["status"], answer["issues"]) == ("ACCEPTED", [])
    assert (listed(amazon, "KURTA-BLU-M").quantity, listed(amazon, "KURTA-BLU-M").waiting) == (100, (18,))
    amazon.pass_time(5)
    item = await spapi.get(f"{ITEMS}/KURTA-BLU-M", **INDIA, includedData=["fulfillmentAvailability", "summaries"])
    assert item["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 18}]
    assert item["summaries"][0]["asin"].startswith("B0")


@pytest.mark.parametrize("sku", ["CHAI/250 g", "100%-COTTON", "A+B?C#D", "हल्दी-200"])
async def test_a_sku_with_any_sign_in_it_has_a_path(spapi, amazon, sku):
    amazon.set_stock(SELLER, StockChange(sku=sku, quantity=5))
    assert (await patch(spapi, sku, stock(7)))["sku"] == sku
    amazon.pass_time(5)
    assert listed(amazon, sku).quantity == 7


@pytest.mark.parametrize(
    ("sku", "body", "code"),
    [
        ("NOBODY-HAS-THIS", stock(1), "13013"),
        ("KURTA-BLU-M", stock(1, product_type="LUGGAGE"), "4000003"),
        ("KURTA-BLU-M", stock(1, path="/attributes/fake_attribute"), "90000900"),
        ("KURTA-BLU-M", stock(-1), "90000900"),
        ("KURTA-BLU-M", stock("many"), "90000900"),
        ("KURTA-BLU-M", stock(1, op="move"), "90000900"),
    ],
)
async def test_an_invalid_change_is_a_200_that_changes_nothing(spapi, amazon, sku, body, code):
    before = amazon.listings(SELLER)
    answer = await patch(spapi, sku, body)
    assert (answer["status"], answer["issues"][0]["code"]) == ("INVALID", code)
    amazon.pass_time(60)
    assert amazon.listings(SELLER) == before


async def test_a_preview_judges_and_does_nothing(spapi, amazon):
    assert (await patch(spapi, "KURTA-BLU-M", stock(3), mode="VALIDATION_PREVIEW"))["status"] == "VALID"
    assert listed(amazon, "KURTA-BLU-M").waiting == ()


async def test_replace_wipes_the_lead_time_and_merge_keeps_it(spapi, amazon):
    await patch(spapi, "KURTA-BLU-M", stock(5, lead_time_to_ship_max_days=2))
    await patch(spapi, "KURTA-BLU-M", stock(6))
    amazon.pass_time(5)
    assert (listed(amazon, "KURTA-BLU-M").quantity, listed(amazon, "KURTA-BLU-M").lead_days) == (6, 2)
    await patch(spapi, "KURTA-BLU-M", stock(7, op="replace"))
    amazon.pass_time(5)
    assert (listed(amazon, "KURTA-BLU-M").quantity, listed(amazon, "KURTA-BLU-M").lead_days) == (7, None)


async def test_pushing_stock_of_an_fba_listing_takes_it_out_of_fba(spapi, amazon):
    await patch(spapi, "MAT-YOGA-FBA", stock(9))
    amazon.pass_time(5)
    after = listed(amazon, "MAT-YOGA-FBA")
    assert (after.by_amazon, after.quantity) == (False, 9)


async def test_search_pages_and_finds_by_identifier(spapi, amazon):
    amazon.create_seller(NewSeller(seller_id="A2INSELLER0002", goods=5))
    found, token = [], None
    while True:
        page = await spapi.get(ITEMS, **INDIA, pageSize=4, **({"pageToken": token} if token else {}))
        found += [one["sku"] for one in page["items"]]
        token = page.get("pagination", {}).get("nextToken")
        if token is None:
            break
    assert page["numberOfResults"] == len(found) == len(set(found)) == 6
    one = await spapi.get(ITEMS, **INDIA, identifiers=["MAT-YOGA-FBA", "NONE"], identifiersType="SKU")
    assert [item["sku"] for item in one["items"]] == ["MAT-YOGA-FBA"]
    channels = await spapi.get(
        ITEMS, **INDIA, identifiers="MAT-YOGA-FBA", identifiersType="SKU", includedData="fulfillmentAvailability"
    )
    assert channels["items"][0]["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "AMAZON_IN"}]


async def test_listings_of_others_and_of_nobody(spapi, amazon):
    other = amazon.create_seller()
    assert (await spapi.call("GET", f"/listings/2021-08-01/items/{other.id}", **INDIA)).status_code == 403
    assert (await spapi.call("GET", f"{ITEMS}/NONE", **INDIA)).status_code == 404
    assert (await spapi.call("GET", f"{ITEMS}/KURTA-BLU-M")).status_code == 400
    assert (await spapi.call("GET", ITEMS, **INDIA, identifiers="A")).status_code == 400


async def test_over_a_socket_a_slash_in_a_sku_stays_in_its_segment(served):
    """Servers hand paths over decoded; what was sent must be read all the same."""
    base, desk = served
    seller = desk.amazon.create_seller(NewSeller(seller_id=SELLER))
    form = {
        "grant_type": "refresh_token",
        "refresh_token": desk.amazon.refresh_token(seller.id),
        "client_id": desk.credentials.amazon_client_id,
        "client_secret": desk.credentials.amazon_client_secret,
    }
    async with httpx2.AsyncClient(trust_env=False) as http:
        token = (await http.post(f"{base}/api.amazon.com/auth/o2/token", data=form)).json()["access_token"]
        url = f"{base}/sellingpartnerapi-eu.amazon.com{ITEMS}/CHAI%2F250%20g?marketplaceIds=A21TJRUUN4KGV"
        reply = await http.patch(url, json=stock(4), headers={"x-amz-access-token": token})
    assert reply.json()["status"] == "ACCEPTED"
    assert next(one for one in desk.amazon.listings(SELLER) if one.sku == "CHAI/250 g").waiting == (4,)
