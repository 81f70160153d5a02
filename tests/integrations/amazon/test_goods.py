"""Listings in and FBA stock in: read page by page, from a report, and translated."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from shipcrowd.channels.contract import Listing, MarketplaceLevel
from shipcrowd.integrations.amazon import goods, listings, regions, stock
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable
from shipcrowd.orders.schemas import Fulfilment
from tests.integrations.amazon.far_side import NOW, SELLER, channel_of, refused
from tests.integrations.amazon.test_contract import PAIRS

URL = "https://tortuga-prod-eu.s3-eu-west-1.amazonaws.com/report?X-Amz-Signature=secret"
IN = "A21TJRUUN4KGV"
pytestmark = pytest.mark.usefixtures("at_now")


def raw(sku: str, channel: str | None = "DEFAULT", **more: object) -> dict[str, object]:
    return {
        "sku": sku,
        "summaries": [{"marketplaceId": IN, "asin": f"B0{sku}", "itemName": f"The {sku}", "productType": "HOME"}],
        "offers": [{"marketplaceId": IN, "offerType": "B2C", "price": {"currencyCode": "INR", "amount": "699.00"}}],
        "fulfillmentAvailability": [{"fulfillmentChannelCode": channel, "quantity": 3}] if channel else [],
        **more,
    }


def searched(*items: object, token: str = "", found: int | None = None) -> dict[str, object]:
    more = {"pagination": {"nextToken": token}} if token else {}
    return {"numberOfResults": len(items) if found is None else found, "items": list(items), **more}


@pytest.fixture
def no_catalogue(amazon):
    return amazon.on("searchCatalogItems", refused(403, "Unauthorized", "Access to requested resource is denied."))


async def everything(pages):
    return [each async for page in pages for each in page]


# --- listings -------------------------------------------------------------------------------------------------------


async def test_listings_come_page_by_page_with_what_the_catalogue_adds(amazon):
    amazon.on("searchListingsItems", searched(raw("A"), token="t-2", found=2), searched(raw("B/1 x", "AMAZON_IN")))
    sizes = {"marketplaceId": IN, "package": {"weight": {"unit": "kilograms", "value": 0.35}}}
    numbers = {"marketplaceId": IN, "identifiers": [{"identifierType": "EAN", "identifier": "8901234567890"}]}
    known = {"asin": "B0A", "dimensions": [sizes], "identifiers": [numbers]}
    amazon.on("searchCatalogItems", {"items": [known]}, {"items": []})
    assert await everything(channel_of(amazon).listings()) == [
        Listing("A", "B0A", "A", "The A", Money(69900), "8901234567890", None, 350, None, Fulfilment.seller),
        Listing("B/1 x", "B0B/1 x", "B/1 x", "The B/1 x", Money(69900), fulfilment=Fulfilment.marketplace_warehouse),
    ]
    first, second = amazon.calls("searchListingsItems")
    assert first.path == {"sellerId": SELLER}
    assert first.query == {
        "marketplaceIds": IN,
        "includedData": "summaries,offers,fulfillmentAvailability",
        "pageSize": "20",
    }
    assert second.query["pageToken"] == "t-2"
    asked = amazon.calls("searchCatalogItems")[0].query
    assert (asked["identifiers"], asked["identifiersType"], asked["marketplaceIds"]) == ("B0A", "ASIN", IN)


async def test_without_the_catalogue_listings_come_all_the_same(no_catalogue):
    no_catalogue.on("searchListingsItems", searched(raw("A")))
    [only] = await everything(channel_of(no_catalogue).listings())
    assert (only.sku, only.weight_grams, only.barcode) == ("A", None, None)


async def test_a_catalogue_of_another_shape_is_done_without(amazon):
    amazon.on("searchListingsItems", searched(raw("A"))).on("searchCatalogItems", {"items": [{"dimensions": "large"}]})
    assert [each.sku for each in await everything(channel_of(amazon).listings())] == ["A"]


@pytest.mark.parametrize("bad", [{}, {"sku": ""}, {"sku": "X", "summaries": "none"}, {"sku": {"a": 1}}])
async def test_a_listing_that_cannot_be_read_does_not_keep_the_others_out(no_catalogue, bad):
    no_catalogue.on("searchListingsItems", searched(raw("A"), bad, raw("B")))
    assert [each.sku for each in await everything(channel_of(no_catalogue).listings())] == ["A", "B"]


async def test_nothing_on_sale_is_an_empty_page(amazon):
    amazon.on("searchListingsItems", searched())
    assert await everything(channel_of(amazon).listings()) == []


async def test_pages_without_end_are_not_followed(no_catalogue):
    no_catalogue.on("searchListingsItems", searched(raw("A"), token="more"))
    with pytest.raises(Malformed):
        await everything(channel_of(no_catalogue).listings())
    assert len(no_catalogue.calls("searchListingsItems")) == listings.PAGED // listings.PAGE + 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT"}]}, Fulfilment.seller),
        ({"fulfillmentAvailability": [{"fulfillmentChannelCode": "AMAZON_EU"}]}, Fulfilment.marketplace_warehouse),
        (
            {
                "fulfillmentAvailability": [
                    {"fulfillmentChannelCode": "DEFAULT"},
                    {"fulfillmentChannelCode": "AMAZON_IN"},
                ]
            },
            Fulfilment.marketplace_warehouse,
        ),
        (
            {"fulfillmentAvailability": [], "summaries": [{"marketplaceId": IN, "fnSku": "X0"}]},
            Fulfilment.marketplace_warehouse,
        ),
        ({"fulfillmentAvailability": [], "summaries": [{"marketplaceId": "A1F83G8C2ARO7P", "fnSku": "X0"}]}, None),
        ({"fulfillmentAvailability": [{"fulfillmentChannelCode": "BY_DRONE"}]}, None),
        ({"fulfillmentAvailability": None}, None),
    ],
)
def test_who_ships_what_a_listing_sells(changes, expected):
    assert goods.listing({**raw("A"), **changes}, regions.INDIA).fulfilment is expected


def test_a_price_elsewhere_or_for_businesses_is_not_the_price():
    def offer(kind: str, currency: str, amount: object, place: str = IN) -> dict[str, object]:
        return {"marketplaceId": place, "offerType": kind, "price": {"currencyCode": currency, "amount": amount}}

    def price(*offers: object):
        return goods.listing(raw("A", offers=list(offers)), regions.INDIA).price

    assert price(offer("B2B", "INR", "1"), offer("B2C", "INR", "2", "A1F83G8C2ARO7P"), offer("B2C", "EUR", "3")) is None
    assert price(offer("B2B", "INR", "1"), offer("B2C", "INR", "499.50")) == Money(49950)
    assert price(offer("B2C", "INR", "much")) is None
    assert price() is None


@pytest.mark.parametrize(
    ("weight", "grams"),
    [
        ({"unit": "kilograms", "value": 1.25}, 1250),
        ({"unit": "pounds", "value": 2}, 907),
        ({"unit": "Grams", "value": "350"}, 350),
        ({"unit": "stones", "value": 1}, None),
        ({"unit": "grams", "value": "heavy"}, None),
        ({"unit": "grams", "value": -1}, None),
        ({"unit": "kilograms", "value": "NaN"}, None),
        ({}, None),
    ],
)
def test_a_weight_in_grams(weight, grams):
    sizes = [{"marketplaceId": IN, "package": {"weight": weight}}]
    assert goods.details({"dimensions": sizes}, regions.INDIA).weight_grams == grams


# --- listings by report -----------------------------------------------------------------------------------------------

HEAD = "item-name\tseller-sku\tprice\tquantity\tproduct-id-type\tasin1\tproduct-id\tfulfillment-channel\tstatus"
LINES = [
    "Cotton kurta, blue\tKURTA/BLU M\t699.00\t12\t1\tB0KURTA\tB0KURTA\tDEFAULT\tActive",
    "Yoga mat\tMAT-FBA\t899\t\t4\tB0MAT\t8901234567890\tAMAZON_IN\tActive",
    "No SKU\t\t1\t1\t1\tB0X\tB0X\tDEFAULT\tActive",
    "Cut short\tSHORT",
]


def reporting(amazon, *reports: dict[str, object], content: bytes = b"", found: int = 1001):
    amazon.on("searchListingsItems", searched(found=found))
    amazon.on("getReports", {"reports": list(reports)})
    amazon.on("createReport", {"reportId": "77"})
    amazon.on("getReportDocument", {"reportDocumentId": "d-1", "url": URL, "compressionAlgorithm": "GZIP"})
    amazon.document = gzip.compress(content)
    return channel_of(amazon)


def written(status: str = "DONE", *, minutes_ago: int = 5) -> dict[str, object]:
    at = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    document = {"reportDocumentId": "d-1"} if status == "DONE" else {}
    return {"reportId": "77", "reportType": "R", "processingStatus": status, "createdTime": at, **document}


async def test_more_than_a_search_gives_comes_from_a_report(amazon):
    found = await everything(reporting(amazon, written(), content="\r\n".join([HEAD, *LINES]).encode()).listings())
    assert found == [
        Listing(
            "KURTA/BLU M",
            "B0KURTA",
            "KURTA/BLU M",
            "Cotton kurta, blue",
            Money(69900),
            fulfilment=Fulfilment.seller,
        ),
        Listing(
            "MAT-FBA",
            "B0MAT",
            "MAT-FBA",
            "Yoga mat",
            Money(89900),
            barcode="8901234567890",
            fulfilment=Fulfilment.marketplace_warehouse,
        ),
        Listing("SHORT", "", "SHORT", "Cut short"),
    ]
    assert amazon.calls("createReport") == []
    assert amazon.calls("getReports")[0].query["createdSince"] == "2026-11-20T05:45:00.000Z"


async def test_where_there_is_no_report_one_is_asked_for_and_the_reader_comes_again(amazon):
    with pytest.raises(Unavailable) as raised:
        await everything(reporting(amazon).listings())
    assert raised.value.retry_after == 60
    assert amazon.calls("createReport")[0].body["reportType"] == "GET_MERCHANT_LISTINGS_ALL_DATA"


@pytest.mark.parametrize("status", ["IN_QUEUE", "IN_PROGRESS", "RESTING"])
async def test_a_report_being_written_is_not_asked_for_twice(amazon, status):
    with pytest.raises(Unavailable):
        await everything(reporting(amazon, written(status)).listings())
    assert amazon.calls("createReport") == [] and amazon.documents == []


@pytest.mark.parametrize("status", ["CANCELLED", "FATAL"])
async def test_a_report_amazon_did_not_write_is_told_and_not_asked_for_at_once(amazon, status):
    with pytest.raises(Refused) as raised:
        await everything(reporting(amazon, written(status)).listings())
    assert raised.value.code == f"report_{status.lower()}"
    assert amazon.calls("createReport") == []


async def test_a_report_of_something_else_is_malformed(amazon):
    with pytest.raises(Malformed):
        await everything(reporting(amazon, written(), content=b"order-id\tsku\r\n1\t2").listings())


async def test_an_oversized_report_is_not_opened(amazon, monkeypatch):
    monkeypatch.setattr("shipcrowd.integrations.amazon.documents.UNPACKED_BYTES", 1000)
    amazon.document = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
    channel = reporting(amazon, written())
    amazon.document = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
    with pytest.raises(Malformed, match="more than"):
        await everything(channel.listings())


def test_old_reports_come_in_windows_letters():
    content = "seller-sku\titem-name\nCAFÉ\tCafé au lait\n".encode("cp1252")
    assert list(listings.rows(content)) == [{"seller-sku": "CAFÉ", "item-name": "Café au lait"}]
    content = "\ufeffseller-sku\titem-name\nचाय\tA line\u2028in two\x85\n".encode()
    [row] = listings.rows(content)
    assert row["seller-sku"] == "चाय" and row["item-name"].startswith("A line\u2028in two")


# --- FBA --------------------------------------------------------------------------------------------------------------


def held(sku: str, units: object = 40, **more: object) -> dict[str, object]:
    return {
        "asin": f"B0{sku}",
        "fnSku": "X001",
        "sellerSku": sku,
        "condition": "NewItem",
        "productName": "A mat",
        "totalQuantity": 51,
        "lastUpdatedTime": "2026-11-20T06:00:00Z",
        "inventoryDetails": {
            "fulfillableQuantity": units,
            "inboundWorkingQuantity": 1,
            "inboundShippedQuantity": 2,
            "inboundReceivingQuantity": 3,
            "reservedQuantity": {"totalReservedQuantity": 4, "pendingCustomerOrderQuantity": 4},
            "researchingQuantity": {"totalResearchingQuantity": 0},
            "unfulfillableQuantity": {"totalUnfulfillableQuantity": 1, "customerDamagedQuantity": 1},
        },
        **more,
    }


def summaries(*levels: object, token: str = "") -> dict[str, object]:
    more = {"pagination": {"nextToken": token}} if token else {}
    return {"payload": {"inventorySummaries": list(levels)}, **more}


async def test_what_amazon_holds_comes_page_by_page(amazon):
    amazon.on("getInventorySummaries", summaries(held("MAT/6 mm"), token="t-2"), summaries(held("LAMP", 0)))
    first, second = await everything(channel_of(amazon).marketplace_stock())
    assert first == MarketplaceLevel(
        sku="MAT/6 mm",
        sellable=40,
        inbound=6,
        reserved=4,
        unfulfillable=1,
        external_variant_id="MAT/6 mm",
        external_product_id="B0MAT/6 mm",
        as_of=datetime(2026, 11, 20, 6, tzinfo=UTC),
        details={
            "fnSku": "X001",
            "condition": "NewItem",
            "totalQuantity": 51,
            "researchingQuantity": 0,
            "inboundWorkingQuantity": 1,
            "inboundShippedQuantity": 2,
            "inboundReceivingQuantity": 3,
            "totalReservedQuantity": 4,
            "pendingCustomerOrderQuantity": 4,
            "totalUnfulfillableQuantity": 1,
            "customerDamagedQuantity": 1,
        },
    )
    assert (second.sku, second.sellable) == ("LAMP", 0)
    asked = [each.query for each in amazon.calls("getInventorySummaries")]
    assert asked[0] == {"granularityType": "Marketplace", "granularityId": IN, "marketplaceIds": IN, "details": "true"}
    assert asked[1] == {**asked[0], "nextToken": "t-2"}


async def test_a_lapsed_token_begins_anew(amazon):
    lapsed = refused(400, "InvalidInput", "nextToken has expired")
    page = summaries(held("A"), token="t-2")
    amazon.on("getInventorySummaries", page, lapsed, page, summaries(held("B")))
    assert [each.sku for each in await everything(channel_of(amazon).marketplace_stock())] == ["A", "A", "B"]
    tokens = [each.query.get("nextToken") for each in amazon.calls("getInventorySummaries")]
    assert tokens == [None, "t-2", None, "t-2"]


async def test_tokens_that_lapse_over_and_over_are_left_for_later(amazon):
    def answer(asked):
        if "nextToken" in asked.query:
            return refused(400, "InvalidInput", "nextToken has expired")
        return summaries(held("A"), token="t")

    amazon.on("getInventorySummaries", answer)
    with pytest.raises(Unavailable):
        await everything(channel_of(amazon).marketplace_stock())
    assert len(amazon.calls("getInventorySummaries")) == 6


async def test_a_question_amazon_refuses_is_not_asked_anew(amazon):
    amazon.on("getInventorySummaries", refused(400, "InvalidInput", "granularityId is wrong"))
    with pytest.raises(Refused):
        await everything(channel_of(amazon).marketplace_stock())
    assert len(amazon.calls("getInventorySummaries")) == 1


async def test_the_same_page_over_and_over_is_malformed(amazon):
    amazon.on("getInventorySummaries", summaries(held("A"), token="t"))
    with pytest.raises(Malformed):
        await everything(channel_of(amazon).marketplace_stock())


@pytest.mark.parametrize("bad", [{"sellerSku": ""}, {"asin": "B0"}, held("A", "many"), held("A", True), "text"])
async def test_stock_that_cannot_be_read_ends_the_read_rather_than_seeming_gone(amazon, bad):
    amazon.on("getInventorySummaries", summaries(held("B"), bad))
    with pytest.raises(Malformed):
        await everything(channel_of(amazon).marketplace_stock())


async def test_what_amazon_leaves_out_is_none(amazon):
    amazon.on("getInventorySummaries", summaries({"sellerSku": "NEW"}))
    [only] = await everything(channel_of(amazon).marketplace_stock())
    assert (only.sellable, only.inbound, only.reserved, only.unfulfillable, only.as_of) == (0, 0, 0, 0, None)


# --- the official pairs -----------------------------------------------------------------------------------------------


def pairs(operation: str):
    return [pair for pair in PAIRS if pair.operation == operation and pair.status == "200"]


@pytest.mark.parametrize("pair", pairs("searchListingsItems") + pairs("getListingsItem"), ids=lambda pair: pair.key)
def test_every_official_listing_is_translated(pair):
    place = regions.marketplace("US")
    for one in pair.response.get("items") or [pair.response]:
        made = goods.listing(one, place)
        assert (made.sku, made.external_variant_id) == (one["sku"], one["sku"])
        assert made.external_product_id == "B071VG5N9D"
        assert made.title == "Hardside Carry-On Spinner Suitcase Luggage"
        if one.get("offers"):
            assert made.price == Money(10000)
        assert (made.fulfilment is Fulfilment.seller) is bool(one.get("fulfillmentAvailability"))


@pytest.mark.parametrize("pair", pairs("searchCatalogItems") + pairs("getCatalogItem"), ids=lambda pair: pair.key)
def test_every_official_catalogue_item_is_translated(pair):
    for one in pair.response.get("items") or [pair.response]:
        found = goods.details(one, regions.marketplace("US"))
        assert (found.barcode, found.weight_grams) == ("0887276302195", 62142)


@pytest.mark.parametrize("pair", pairs("patchListingsItem"), ids=lambda pair: pair.key)
async def test_every_official_answer_to_a_patch_is_judged(amazon, pair):
    amazon.on("patchListingsItem", json.loads(json.dumps(pair.response, default=float)))
    [level] = [stock.StockLevel("SKU", "", 1, "SKU", "B0")]
    refusals = await channel_of(amazon).set_stock([level])
    assert (refusals == []) is (pair.response["status"] == "ACCEPTED")
