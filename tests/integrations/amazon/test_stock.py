"""Stock out: few as patches, many as a feed, and what a feed's report comes to."""

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import httpx2
import pytest
from jsonschema_rs import Draft7Validator

from shipcrowd.channels.contract import FeedState, FeedStep, FeedTicket, StockLevel, StockRefusal
from shipcrowd.integrations.amazon import documents, feeds, regions, stock
from shipcrowd.integrations.amazon.documents import UntrustedDocument
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable
from tests.integrations.amazon.far_side import SELLER, channel_of, refused, throttled

SPECS = Path(os.environ.get("SHIPCROWD_SPECS") or Path(__file__).parents[4] / "shared" / "specs") / "amazon"
URL = "https://tortuga-prod-eu.s3-eu-west-1.amazonaws.com/feed?X-Amz-Signature=secret"
ACCEPTED = {"sku": "S", "status": "ACCEPTED", "submissionId": "1", "issues": []}


def level(sku: str, available: int = 7, *, asin: str | None = "B0", location: str = "") -> StockLevel:
    """Of a listing that has been read, unless `asin` is None."""
    return StockLevel(sku, location, available, sku, asin)


def many(count: int) -> list[StockLevel]:
    return [level(f"SKU-{n:05d}", n) for n in range(count)]


@pytest.fixture
def by_feed(amazon):
    return amazon.on("createFeedDocument", {"feedDocumentId": "d-1", "url": URL}).on("createFeed", {"feedId": "5002"})


# --- as patches -----------------------------------------------------------------------------------------------------


async def test_a_few_go_as_patches_that_leave_the_rest_of_the_listing_alone(amazon):
    amazon.on("patchListingsItem", ACCEPTED)
    assert await channel_of(amazon).set_stock([level("KURTA-BLU-M", 18), level("LAMP", -3)]) == []
    first, second = amazon.calls("patchListingsItem")
    assert first.path == {"sellerId": SELLER, "sku": "KURTA-BLU-M"}
    assert first.query == {"marketplaceIds": "A21TJRUUN4KGV", "issueLocale": "en_IN"}
    assert first.body == {
        "productType": "PRODUCT",
        "patches": [
            {
                "op": "merge",
                "path": "/attributes/fulfillment_availability",
                "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": 18}],
            }
        ],
    }
    assert second.body["patches"][0]["value"][0]["quantity"] == 0  # more sold than there is


@pytest.mark.parametrize("sku", ["CHAI/250 g", "100%COTTON", "A%2FB", "a?b#c&d", "चाय 250", "..hidden", "x;y=1"])
async def test_a_sku_of_any_signs_reaches_its_own_listing(amazon, sku):
    amazon.on("patchListingsItem", ACCEPTED)
    assert await channel_of(amazon).set_stock([level(sku)]) == []
    [asked] = amazon.calls("patchListingsItem")
    assert asked.path["sku"] == sku
    raw = asked.request.url.raw_path.decode().partition("?")[0]
    assert raw.count("/") == 5 and unquote(raw.rpartition("/")[2]) == sku


@pytest.mark.parametrize("sku", ["..", ".", "x" * 41, ""])
async def test_a_sku_that_is_none_is_refused_by_itself_and_not_sent(amazon, sku):
    amazon.on("patchListingsItem", ACCEPTED)
    [only] = await channel_of(amazon).set_stock([level(sku), level("GOOD")])
    assert only.external_variant_id == sku
    assert [asked.path["sku"] for asked in amazon.calls("patchListingsItem")] == ["GOOD"]


async def test_a_level_at_a_place_is_refused_there(amazon):
    [only] = await channel_of(amazon).set_stock([level("KURTA", location="BLR7")])
    assert (only.external_variant_id, only.code, only.location) == ("KURTA", "no_locations", "BLR7")
    assert amazon.asked == []


async def test_invalid_with_status_200_is_a_refusal_in_amazons_words(amazon):
    issues = [
        {"code": "90000900", "message": "The quantity is invalid.", "severity": "ERROR", "attributeNames": ["x"]},
        {"code": "18027", "message": "A better picture would sell more.", "severity": "WARNING"},
        {"code": "4000003", "message": "The product type is not valid.", "severity": "ERROR"},
    ]
    amazon.on("patchListingsItem", {**ACCEPTED, "status": "INVALID", "issues": issues})
    assert await channel_of(amazon).set_stock([level("KURTA")]) == [
        StockRefusal("KURTA", "90000900", "The quantity is invalid. The product type is not valid.")
    ]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"sku": "S", "status": "PONDERING"}, "PONDERING"),
        ({"sku": "S"}, "no_status"),
        ({"sku": "S", "status": "INVALID", "issues": []}, "INVALID"),
        ({"sku": "S", "status": "INVALID", "issues": "many"}, "unreadable_answer"),
        (httpx2.Response(200, content=b"<html>"), "unreadable_answer"),
        (refused(404, "NOT_FOUND", "No such listing."), "not_found"),
        (refused(400, "InvalidInput", "The SKU is wrong."), "InvalidInput"),
    ],
)
async def test_what_is_not_plainly_accepted_is_told_of_that_sku_alone(amazon, answer, code):
    amazon.on("patchListingsItem", answer, ACCEPTED)
    refusals = await channel_of(amazon).set_stock([level("BAD"), level("GOOD")])
    assert [(each.external_variant_id, each.code) for each in refusals] == [("BAD", code)]


async def test_a_missing_role_refuses_them_all(amazon):
    amazon.on("patchListingsItem", refused(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(Refused) as raised:
        await channel_of(amazon).set_stock([level("KURTA")])
    assert raised.value.code == "forbidden"


async def test_a_throttled_patch_waits_for_its_turn_and_the_rest_is_not_sent_again(amazon):
    amazon.on("patchListingsItem", ACCEPTED, throttled(), ACCEPTED)
    assert await channel_of(amazon).set_stock(many(12)) == []
    assert len(amazon.calls("patchListingsItem")) == 13


async def test_a_patch_throttled_over_and_over_leaves_the_batch_to_the_job(amazon):
    amazon.on("patchListingsItem", throttled())
    with pytest.raises(Unavailable) as raised:
        await channel_of(amazon).set_stock([level("KURTA")])
    assert raised.value.retry_after is not None
    assert len(amazon.calls("patchListingsItem")) == 3


async def test_a_patch_that_may_have_arrived_is_the_jobs_to_repeat(amazon):
    amazon.on("patchListingsItem", httpx2.ReadTimeout("no answer"))
    with pytest.raises(Unavailable):
        await channel_of(amazon).set_stock([level("KURTA")])
    assert len(amazon.calls("patchListingsItem")) == 1


# --- what lies in Amazon's warehouses ---------------------------------------------------------------------------------


def item(sku: str, channel: str = "DEFAULT") -> dict[str, object]:
    return {"sku": sku, "fulfillmentAvailability": [{"fulfillmentChannelCode": channel}]}


async def test_a_listing_never_read_is_looked_up_and_amazons_own_is_not_touched(amazon):
    amazon.on("patchListingsItem", ACCEPTED)
    amazon.on("searchListingsItems", {"numberOfResults": 2, "items": [item("MINE"), item("MAT-FBA", "AMAZON_IN")]})
    [only] = await channel_of(amazon).set_stock([level("MINE", asin=None), level("MAT-FBA", asin=None), level("READ")])
    assert (only.external_variant_id, only.code) == ("MAT-FBA", "held_by_marketplace")
    assert {asked.path["sku"] for asked in amazon.calls("patchListingsItem")} == {"MINE", "READ"}
    [asked] = amazon.calls("searchListingsItems")
    assert (asked.query["identifiers"], asked.query["identifiersType"]) == ("MINE,MAT-FBA", "SKU")


async def test_a_sku_with_a_comma_is_looked_up_by_itself(amazon):
    amazon.on("getListingsItem", item("MAT,6 mm", "AMAZON_IN"), refused(404, "NOT_FOUND", "Requested item not found"))
    amazon.on("patchListingsItem", {**ACCEPTED, "status": "INVALID"})
    refusals = await channel_of(amazon).set_stock([level("MAT,6 mm", asin=None), level("GONE,1", asin=None)])
    assert [(each.external_variant_id, each.code) for each in refusals] == [
        ("MAT,6 mm", "held_by_marketplace"),
        ("GONE,1", "INVALID"),
    ]
    assert [asked.path["sku"] for asked in amazon.calls("patchListingsItem")] == ["GONE,1"]


async def test_more_unread_listings_than_can_be_looked_up_are_refused_rather_than_guessed_at(amazon, monkeypatch):
    monkeypatch.setattr(stock, "LOOKED_UP", 1)
    amazon.on("searchListingsItems", {"items": [item("A")]}).on("patchListingsItem", ACCEPTED)
    [only] = await channel_of(amazon).set_stock([level("A", asin=None), level("B", asin=None)])
    assert (only.external_variant_id, only.code) == ("B", "listing_not_read")
    assert [asked.path["sku"] for asked in amazon.calls("patchListingsItem")] == ["A"]


# --- as a feed --------------------------------------------------------------------------------------------------------


async def test_many_go_as_one_feed_by_merge(by_feed):
    told = await channel_of(by_feed).set_stock(many(290))
    assert told == FeedTicket("d-1", started=False)
    assert by_feed.calls("createFeed") == []
    assert by_feed.calls("patchListingsItem") == []
    [(_, _, headers, content)] = by_feed.documents
    assert headers["content-type"] == "application/json; charset=UTF-8"
    sent = json.loads(content)
    assert sent["header"] == {"sellerId": SELLER, "version": "2.0", "issueLocale": "en_IN"}
    assert [each["messageId"] for each in sent["messages"]] == list(range(1, 291))
    assert sent["messages"][18] == {
        "messageId": 19,
        "sku": "SKU-00018",
        "operationType": "PATCH",
        "productType": "PRODUCT",
        "patches": [
            {
                "op": "merge",
                "path": "/attributes/fulfillment_availability",
                "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": 18}],
            }
        ],
    }
    assert await channel_of(by_feed).start_feed(told.reference, asked_at=None, known=()) == "5002"
    body = by_feed.calls("createFeed")[0].body
    assert (body["feedType"], body["inputFeedDocumentId"]) == ("JSON_LISTINGS_FEED", "d-1")
    assert by_feed.calls("getFeeds") == []


@pytest.mark.parametrize(
    ("there", "known", "is_"),
    [
        ([("5003", 0)], (), "5003"),
        ([("5003", 0)], ("5003",), "5002"),
        ([("5003", 0), ("5004", 2), ("5005", 3)], ("5005",), "5004"),
        ([], (), "5002"),
    ],
)
async def test_a_feed_that_may_have_been_asked_for_is_looked_for_before_it_is_asked_for_again(
    by_feed, there, known, is_
):
    found = [
        {"feedId": name, "feedType": feeds.LISTINGS, "createdTime": f"2026-11-20T06:30:0{second}Z"}
        for name, second in there
    ]
    by_feed.on("getFeeds", {"feeds": found})
    asked_at = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
    assert await channel_of(by_feed).start_feed("amzn1.tortuga.1", asked_at=asked_at, known=known) == is_
    assert len(by_feed.calls("createFeed")) == (1 if is_ == "5002" else 0)
    assert by_feed.calls("getFeeds")[0].query["createdSince"] == "2026-11-20T06:29:30.000Z"


async def test_as_many_as_patches_do_in_a_feeds_time_go_as_patches(by_feed):
    by_feed.on("patchListingsItem", ACCEPTED)
    assert await channel_of(by_feed).set_stock(many(289)) == []
    assert len(by_feed.calls("patchListingsItem")) == 289


async def test_where_amazon_grants_fewer_patches_a_feed_is_worth_it_sooner(by_feed):
    slow = httpx2.Response(200, content=json.dumps(ACCEPTED), headers={"x-amzn-RateLimit-Limit": "1.0"})
    by_feed.on("patchListingsItem", slow)
    await channel_of(by_feed).set_stock([level("KURTA")])
    assert isinstance(await channel_of(by_feed).set_stock(many(66)), FeedTicket)


async def test_what_failed_as_a_feed_goes_as_patches_however_many(by_feed):
    by_feed.on("patchListingsItem", ACCEPTED)
    assert await channel_of(by_feed).set_stock(many(400), singly=True) == []
    assert by_feed.calls("createFeed") == []


async def test_what_a_feed_does_not_hold_is_told_beside_it(by_feed):
    by_feed.on("searchListingsItems", {"items": [item("FBA", "AMAZON_IN")]})
    levels = [*many(400), level("x" * 41), level("FBA", asin=None)]
    told = await channel_of(by_feed).set_stock(levels)
    assert isinstance(told, FeedTicket)
    assert [each.code for each in told.refusals] == ["bad_sku", "held_by_marketplace"]
    assert len(json.loads(by_feed.documents[0][3])["messages"]) == 400


def test_the_largest_feed_of_the_longest_skus_stays_under_amazons_limit():
    levels = [level("𝒦" * 35 + f"{n:05d}", 99_999_999) for n in range(stock.BATCH)]
    assert len(stock.feed(SELLER, regions.INDIA, levels)) < documents.FEED_BYTES


@pytest.mark.skipif(not SPECS.exists(), reason="Amazon's official schemas are not here (SHIPCROWD_SPECS)")
def test_a_feed_holds_to_amazons_schema():
    whole = json.loads((SPECS / "schemas/feeds/listings-feed-schema-v2.json").read_text())
    one = json.loads((SPECS / "schemas/feeds/listings-feed-message-schema-v2.json").read_text())
    for place in (regions.INDIA, regions.marketplace("DE")):
        sent = json.loads(stock.feed(SELLER, place, many(3)))
        header = {**whole["properties"]["header"], "$schema": whole["$schema"]}
        assert list(Draft7Validator(header).iter_errors(sent["header"])) == []
        assert [error for each in sent["messages"] for error in Draft7Validator(one).iter_errors(each)] == []


# --- what became of it ------------------------------------------------------------------------------------------------


def reported(amazon, report: object, **feed: str):
    told = {"feedId": "5002", "feedType": feeds.LISTINGS, "processingStatus": "DONE", "resultFeedDocumentId": "r-1"}
    amazon.on("getFeed", {**told, **feed})
    amazon.on("getFeedDocument", {"feedDocumentId": "r-1", "url": URL, "compressionAlgorithm": "GZIP"})
    amazon.document = gzip.compress(report if isinstance(report, bytes) else json.dumps(report).encode())
    return channel_of(amazon)


def report(*issues: dict[str, object], invalid: int | None = None) -> dict[str, object]:
    bad = len({each.get("sku") for each in issues if each["severity"] == "ERROR"})
    return {"issues": list(issues), "summary": {"messagesInvalid": bad if invalid is None else invalid}}


def issue(sku: str | None, message: str, severity: str = "ERROR", **more: object) -> dict[str, object]:
    return {**({"sku": sku} if sku else {}), "severity": severity, "message": message, "code": "13013", **more}


@pytest.mark.parametrize("status", ["IN_QUEUE", "IN_PROGRESS", "RESTING"])
async def test_a_feed_under_way_is_asked_after_again(amazon, status):
    told = await reported(amazon, b"", processingStatus=status).feed("5002")
    assert told == FeedState(FeedStep.under_way)
    assert amazon.documents == []


@pytest.mark.parametrize("status", ["FATAL", "CANCELLED"])
async def test_a_feed_that_was_not_worked_off_failed(amazon, status):
    told = await reported(amazon, b"", processingStatus=status, resultFeedDocumentId="").feed("5002")
    assert (told.step, status in told.reason) == (FeedStep.failed, True)


async def test_done_is_not_taken_the_report_says_of_each_sku(amazon):
    told = await reported(
        amazon,
        report(
            issue("A/1", "No such SKU."),
            issue("A/1", "And a bad number.", code="90000900"),
            issue("B", "A better picture would sell more.", "WARNING"),
            issue("C", "Noted.", "INFO"),
            issue("D", "Refused.", messageId=4),
        ),
    ).feed("5002")
    assert told == FeedState(
        FeedStep.done,
        (StockRefusal("A/1", "13013", "No such SKU. And a bad number."), StockRefusal("D", "13013", "Refused.")),
    )


async def test_a_report_without_errors_is_all_of_it_taken(amazon):
    assert await reported(amazon, report()).feed("5002") == FeedState(FeedStep.done)


@pytest.mark.parametrize(
    "said",
    [
        report(issue(None, "The header is wrong.")),
        report(issue(None, "Refused.", messageId=7), issue("A", "Refused.")),
        report(issue("A", "Refused."), invalid=2),
        report(invalid=3),
        {"issues": [], "summary": {"messagesInvalid": "none"}},
    ],
)
async def test_where_not_every_error_says_whose_it_is_all_of_it_goes_once_more_by_itself(amazon, said):
    assert (await reported(amazon, said).feed("5002")).step is FeedStep.failed


async def test_done_without_a_report_is_not_taken_for_done(amazon):
    told = await reported(amazon, b"", resultFeedDocumentId="").feed("5002")
    assert told.step is FeedStep.failed


@pytest.mark.parametrize("said", [b"<html>", b"[]", b"{}", b'{"issues": {}, "summary": {"messagesInvalid": 0}}'])
async def test_a_report_that_cannot_be_read_says_nothing_of_anything(amazon, said):
    with pytest.raises(Malformed):
        await reported(amazon, said).feed("5002")


async def test_a_report_that_would_fill_the_memory_is_not_opened(amazon):
    with pytest.raises(UntrustedDocument, match="more than"):
        await reported(amazon, b"\0" * (stock.REPORT_BYTES + 1)).feed("5002")


async def test_a_feed_amazon_does_not_know_is_refused(amazon):
    amazon.on("getFeed", refused(404, "NotFound", "Invalid feedId"))
    with pytest.raises(Refused):
        await channel_of(amazon).feed("5002")


@pytest.mark.skipif(not SPECS.exists(), reason="Amazon's official schemas are not here (SHIPCROWD_SPECS)")
async def test_the_official_report_is_read(amazon):
    said = json.loads((SPECS / "schemas/feeds/listings-feed-processing-report-schema-v2.example.json").read_text())
    told = await reported(amazon, said).feed("5002")
    assert told.step is FeedStep.done
    assert [(each.external_variant_id, each.code) for each in told.refusals] == [
        ("My-SKU-B", "90220"),
        ("My-SKU-C", "99022"),
    ]
