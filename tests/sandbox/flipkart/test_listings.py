"""Listings, stock and prices at the stand-in for Flipkart."""

import pytest

from shipcrowd.sandbox.flipkart.schemas import KnobChange, ListingChange, NewItem
from shipcrowd.sandbox.refusals import NotPossible, Unknown

SKU = "BOT-1L-BLU"


@pytest.fixture
def listed(fk, flipkart):
    return {one.sku: one for one in fk.listings(flipkart.seller.id)}


def stock(fk, flipkart, sku=SKU):
    return next(one.stock for one in fk.listings(flipkart.seller.id) if one.sku == sku)


def level(flipkart, listing, units, **changes):
    place = {"id": flipkart.location, "status": "ENABLED", "inventory": units}
    return {listing.sku: {"product_id": listing.fsn, "locations": [{**place, **changes}]}}


async def test_listings_are_read_by_sku(flipkart, place, fk):
    place(items=(NewItem(sku=SKU, quantity=3),))
    answer = await flipkart.get(f"/listings/v3/{SKU},हल्दी-200,nothing,{'x' * 65}")
    assert set(answer["available"]) == {SKU, "हल्दी-200"}
    assert (answer["unavailable"], answer["invalid"]) == (["nothing"], ["x" * 65])
    shown = answer["available"][SKU]
    assert shown["price"] == {"mrp": 598, "selling_price": 499, "currency": "INR"}
    assert shown["tax"] == {"hsn": "732393", "tax_code": "GST_18"}
    first = shown["locations"][0]
    assert (first["inventory"], first["pending_inventory"]) == (100, 3)
    fk.change_listing(flipkart.seller.id, SKU, ListingChange(locations_missing=True))
    fk.set_knobs(KnobChange(dialect="other"))
    again = (await flipkart.get(f"/listings/v3/{SKU}"))["available"][SKU]
    assert "locations" not in again
    assert again["price"]["flipkart_selling_price"] == 499


async def test_listings_are_found_page_by_page(flipkart, fk, place):
    page = await flipkart.post("/listings/v3/search", {"filters": {"listing_status": "ACTIVE"}, "page_id": None})
    assert (page["has_more"], page["next_page_id"], len(page["listings"])) == (False, None, 8)
    assert set(page["listings"][0]) == {"listing_id", "product_id", "sku_id"}
    fk.change_listing(flipkart.seller.id, SKU, ListingChange(active=False))
    inactive = await flipkart.post("/listings/v3/search", {"filters": {"listing_status": "INACTIVE"}})
    assert [one["sku_id"] for one in inactive["listings"]] == [SKU]
    for number in range(500):
        place(items=(NewItem(sku=f"SKU-{number}"),), silent=True)
    first = await flipkart.post("/listings/v3/search", {"filters": {}})
    assert (first["has_more"], len(first["listings"])) == (True, 500)
    rest = await flipkart.post("/listings/v3/search", {"page_id": first["next_page_id"]})
    assert (rest["has_more"], len(rest["listings"])) == (False, 8)
    for bad in ({"page_id": "§"}, {"filters": {"listing_status": "ALL"}}):
        assert (await flipkart.call("POST", "/listings/v3/search", bad)).status_code == 400


async def test_stock_is_set_for_each_sku_by_itself(flipkart, fk, listed):
    other = listed["CHAI-250"]
    body = level(flipkart, listed[SKU], 37) | level(flipkart, other, -1) | {"BAD": {"product_id": "x", "locations": []}}
    answer = await flipkart.post("/listings/v3/update/inventory", body)
    assert answer[SKU] == {"status": "SUCCESS", "errors": [], "attribute_errors": []}
    assert answer["BAD"]["status"] == "FAILURE"
    assert answer["BAD"]["errors"][0]["description"] == "SKU not found for seller"
    assert answer[other.sku]["attribute_errors"][0]["attribute"] == "inventory"
    assert stock(fk, flipkart)[flipkart.location] == 37
    assert stock(fk, flipkart, other.sku)[flipkart.location] == 100


@pytest.mark.parametrize("wrong", [{"id": "LOCelse"}, {"status": "OFF"}, {"inventory": "7"}, {"inventory": True}])
async def test_a_wrong_location_or_number_sets_nothing(flipkart, fk, listed, wrong):
    answer = await flipkart.post("/listings/v3/update/inventory", level(flipkart, listed[SKU], 7, **wrong))
    assert answer[SKU]["status"] == "FAILURE"
    assert stock(fk, flipkart)[flipkart.location] == 100


async def test_the_product_id_must_fit_and_there_must_be_a_location(flipkart, fk, listed):
    no_product = {SKU: {**level(flipkart, listed[SKU], 7)[SKU], "product_id": "ELSE"}}
    assert (await flipkart.post("/listings/v3/update/inventory", no_product))[SKU]["status"] == "FAILURE"
    no_place = {SKU: {"product_id": listed[SKU].fsn, "locations": []}}
    assert (await flipkart.post("/listings/v3/update/inventory", no_place))[SKU]["status"] == "FAILURE"
    fk.change_listing(flipkart.seller.id, SKU, ListingChange(archived=True))
    archived = await flipkart.post("/listings/v3/update/inventory", level(flipkart, listed[SKU], 7))
    assert archived[SKU]["errors"][0]["description"] == "the listing is archived"
    assert stock(fk, flipkart)[flipkart.location] == 100


@pytest.mark.parametrize("what", ["inventory", "price"])
async def test_ten_skus_a_call_and_no_more(flipkart, what):
    body = {f"SKU-{number}": {"product_id": "x"} for number in range(11)}
    assert (await flipkart.call("POST", f"/listings/v3/update/{what}", body)).status_code == 400
    assert (await flipkart.call("POST", f"/listings/v3/update/{what}", {})).status_code == 400
    del body["SKU-0"]
    assert len(await flipkart.post(f"/listings/v3/update/{what}", body)) == 10


@pytest.mark.parametrize(
    ("price", "status"),
    [
        ({"mrp": 1499, "selling_price": 450, "currency": "INR"}, "SUCCESS"),
        ({"mrp": 400, "selling_price": 450, "currency": "INR"}, "FAILURE"),
        ({"mrp": 1499, "selling_price": 450.5, "currency": "INR"}, "FAILURE"),
        ({"mrp": 1499, "selling_price": 450}, "FAILURE"),
    ],
)
async def test_prices_are_whole_rupees_below_the_mrp(flipkart, fk, listed, price, status):
    body = {SKU: {"product_id": listed[SKU].fsn, "price": price}}
    assert (await flipkart.post("/listings/v3/update/price", body))[SKU]["status"] == status
    now = next(one for one in fk.listings(flipkart.seller.id) if one.sku == SKU)
    assert now.selling_price == (450 if status == "SUCCESS" else 499)


def test_the_desk_changes_listings_it_knows(fk, flipkart):
    seller = flipkart.seller.id
    place = flipkart.location
    changed = fk.change_listing(seller, SKU, ListingChange(inventory={place: 5}, disabled=(place,)))
    assert changed.stock[place] == 5
    with pytest.raises(NotPossible):
        fk.change_listing(seller, SKU, ListingChange(inventory={"LOCelse": 5}))
    with pytest.raises(Unknown):
        fk.change_listing(seller, "nothing", ListingChange())
