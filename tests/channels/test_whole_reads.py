"""Listings and the marketplace's own stock: read whole, kept apart, and gone only when a whole read says so."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import time_machine
from sqlalchemy import select

from shipcrowd.channels import reading
from shipcrowd.channels.contract import Listing, MarketplaceLevel
from shipcrowd.channels.models import ListingRow, MarketplaceStock
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Disconnected, Refused, Unavailable
from tests.channels import bazaar, look
from tests.support import drain


def listing(n, sku=None, title=None, **changes):
    return Listing(f"V{n}", f"P{n}", sku or f"SKU-{n}", title or f"Saree {n}", **changes)


async def rows(company, table):
    async with tenancy.acting_for(company) as session:
        key = table.sku
        return {row.sku: row for row in (await session.execute(select(table).order_by(key))).scalars()}


async def test_listings_are_read_shown_and_found_by_what_their_sku_or_title_begins_with(http, company, store, far):
    far.on_sale = [[listing(1, price=Money(49900)), listing(2)], [listing(3, sku="OTHER", title="ÉTOLE\x00 silk")]]
    base = f"/integrations/bazaar/stores/{store}"
    answer = await http.post(f"{base}/sync-listings")
    assert (answer.status_code, answer.json()["follow"]) == (202, f"/api/v1{base}/sync-status")
    await drain()
    first = (await http.get(f"{base}/listings", params={"limit": 2})).json()
    assert [(each["sku"], each["price_paise"]) for each in first["items"]] == [("SKU-1", 49900), ("SKU-2", None)]
    second = (await http.get(f"{base}/listings", params={"limit": 2, "after": first["next"]})).json()
    assert ([each["title"] for each in second["items"]], second["next"]) == (["ÉTOLE silk"], None)
    for words, found in (("SKU-", ["SKU-1", "SKU-2"]), ("étole", ["OTHER"]), ("saree 2", ["SKU-2"]), ("%", [])):
        shown = (await http.get(f"{base}/listings", params={"search": words})).json()["items"]
        assert [each["sku"] for each in shown] == found, words
    (line,) = await look.log(company, "listings")
    assert (line.pages, line.inserted, line.error) == (2, 3, "")
    status = (await http.get(f"{base}/sync-status")).json()
    assert status["listings_read_at"] is not None
    assert status["latest"][0]["what"] == "listings"


async def test_only_a_complete_read_says_that_something_is_gone(http, company, store, far):
    far.on_sale = [[listing(1)], [listing(2)]]
    await reading.read_listings.run(company, store)
    far.on_sale = [[listing(3)], []]
    far.fail("listings_page", Refused("busy", "Not now."))
    await reading.read_listings.run(company, store)
    assert {sku: row.gone_at for sku, row in (await rows(company, ListingRow)).items()} == dict.fromkeys(
        ("SKU-1", "SKU-2", "SKU-3")
    )
    assert (await look.log(company, "listings"))[-1].error == "Not now."
    await reading.read_listings.run(company, store)
    found = await rows(company, ListingRow)
    assert [sku for sku, row in found.items() if row.gone_at is None] == ["SKU-3"]
    base = f"/integrations/bazaar/stores/{store}/listings"
    assert [each["sku"] for each in (await http.get(base)).json()["items"]] == ["SKU-3"]
    gone = (await http.get(base, params={"gone": True})).json()["items"]
    assert [each["sku"] for each in gone] == ["SKU-1", "SKU-2"]
    far.on_sale = [[listing(1)]]
    await reading.read_listings.run(company, store)  # and on sale again
    assert (await rows(company, ListingRow))["SKU-1"].gone_at is None


async def test_a_store_with_more_listings_than_we_read_loses_none(company, store, far, monkeypatch):
    far.on_sale = [[listing(1)], [listing(2)]]
    await reading.read_listings.run(company, store)
    monkeypatch.setattr(reading, "LISTINGS", replace(reading.LISTINGS, most=1))
    await reading.read_listings.run(company, store)
    assert [row.gone_at for row in (await rows(company, ListingRow)).values()] == [None, None]
    assert "more than 1" in (await look.log(company, "listings"))[-1].error


async def test_two_reads_at_once_do_no_harm(company, store, far):
    far.on_sale = [[listing(n) for n in range(start, start + 3)] for start in range(0, 9, 3)]
    await asyncio.gather(*(reading.read_listings.run(company, store) for _ in range(3)))
    found = await rows(company, ListingRow)
    assert (len(found), {row.gone_at for row in found.values()}) == (9, {None})


async def test_marketplace_stock_is_read_under_both_its_names(http, company, store, far):
    at = clock.now() - timedelta(minutes=3)
    far.held = [
        [MarketplaceLevel("A-1", 7, 3, 2, 1, "DEL4", "V1", "B00ASIN", at, {"inbound_working": 3})],
        [MarketplaceLevel("A-2", 0), MarketplaceLevel("B-1", 4, location="BLR1")],
    ]
    base = f"/integrations/bazaar/stores/{store}"
    assert (await http.post(f"{base}/sync-marketplace-stock")).status_code == 202
    await drain()
    shown = (await http.get(f"{base}/fba-inventory")).json()
    assert shown == (await http.get(f"{base}/marketplace-stock")).json()
    one = shown["items"][0]
    assert (one["sku"], one["sellable"], one["inbound"], one["reserved"], one["unfulfillable"]) == ("A-1", 7, 3, 2, 1)
    assert (one["details"], one["external_product_id"]) == ({"inbound_working": 3}, "B00ASIN")
    for filters, found in (({"sku": "A-"}, ["A-1", "A-2"]), ({"location": "BLR1"}, ["B-1"]), ({"gone": True}, [])):
        items = (await http.get(f"{base}/fba-inventory", params=filters)).json()["items"]
        assert [each["sku"] for each in items] == found
    page = (await http.get(f"{base}/fba-inventory", params={"limit": 2})).json()
    rest = (await http.get(f"{base}/fba-inventory", params={"limit": 2, "after": page["next"]})).json()
    assert [each["sku"] for each in rest["items"]] == ["B-1"]
    far.held = [[MarketplaceLevel("A-1", 6, location="DEL4")]]
    await reading.read_marketplace_stock.run(company, store)
    found = await rows(company, MarketplaceStock)
    assert found["A-1"].sellable == 6
    assert [sku for sku, row in found.items() if row.gone_at is None] == ["A-1"]


async def test_news_from_the_warehouse_reads_it_once_for_a_burst(http, company, store, far):
    for _ in range(3):
        body, headers = bazaar.webhook("warehouse/changed", far.external_id, {})
        await http.post("/webhooks/bazaar", content=body, headers=headers)
    await drain()
    assert far.count("marketplace_stock") == 0  # it settles first
    await drain(skip_waits=True)
    assert far.count("marketplace_stock") == 1
    assert {each.outcome for each in await look.deliveries(company)} == {"handled"}


async def test_the_clock_reads_what_is_due_and_nothing_twice(company, store, far):
    far.on_sale = [[listing(1)]]
    await reading.read_due.run()
    await look.only(company)
    await reading.read_due.run()
    await look.only(company)
    await drain()
    assert (far.count("listings"), far.count("marketplace_stock")) == (1, 1)
    with time_machine.travel(clock.now() + timedelta(hours=5)):
        await reading.read_due.run()
        await look.only(company)
        await drain()
    assert (far.count("listings"), far.count("marketplace_stock")) == (1, 2)


async def test_a_channel_without_the_ability_is_left_alone_by_the_clock(company, connect, far):
    await connect(platform="plain")
    await drain()
    await reading.read_due.run()
    await look.only(company)
    await drain()
    await reading.read_due.run()
    await look.only(company)
    assert await look.jobs_waiting(company) == 0
    assert far.count("listings") == 0


async def test_a_store_in_trouble_is_read_again_and_one_that_lost_us_is_not(company, store, far):
    far.on_sale = [[listing(1)]]
    far.fail("listings", Unavailable("503"))
    await reading.read_due.run()
    await look.only(company)
    await drain(skip_waits=True)
    assert list(await rows(company, ListingRow)) == ["SKU-1"]
    far.fail("listings", Disconnected("The token was revoked."))
    await reading.read_listings.run(company, store)
    assert (await look.connection(company, store)).status == "disconnected"
    await reading.read_listings.run(company, store)
    assert far.count("listings") == 3
