"""Feeds and reports: presigned documents, states, what each type does, and how they go wrong."""

import asyncio
import csv
import gzip
import io
import json
import os
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest

from shipcrowd.sandbox.amazon import documents
from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewAmazonOrder, NewSeller, OrderKind

SELLER = "A1INSELLER0001"
FEEDS, REPORTS = "/feeds/2021-06-30", "/reports/2021-06-30"
JSON, XML = "application/json; charset=UTF-8", "text/xml; charset=UTF-8"
INDIA = "A21TJRUUN4KGV"
SPECS = Path(os.environ.get("SHIPCROWD_SPECS", Path(__file__).parents[4] / "shared" / "specs")) / "amazon"


async def upload(spapi, content, content_type=JSON, *, sent_as=None):
    made = await spapi.post(f"{FEEDS}/documents", {"contentType": content_type})
    reply = await spapi.http.put(made["url"], content=content, headers={"content-type": sent_as or content_type})
    return made["feedDocumentId"], reply


async def submit(spapi, kind, content, content_type=JSON, **more):
    document, reply = await upload(spapi, content, content_type)
    assert reply.status_code == 200, reply.text
    body = {"feedType": kind, "marketplaceIds": [INDIA], "inputFeedDocumentId": document, **more}
    return (await spapi.post(f"{FEEDS}/feeds", body))["feedId"]


async def result_of(spapi, feed_id):
    """The finished feed, and its report unpacked."""
    feed = await spapi.get(f"{FEEDS}/feeds/{feed_id}")
    if "resultFeedDocumentId" not in feed:
        return feed, None
    told = await spapi.get(f"{FEEDS}/documents/{feed['resultFeedDocumentId']}")
    assert told["compressionAlgorithm"] == "GZIP"
    return feed, gzip.decompress((await spapi.http.get(told["url"])).content)


def levels(**quantities):
    messages = [
        {
            "messageId": number,
            "sku": sku,
            "operationType": "PATCH",
            "productType": "PRODUCT",
            "patches": [
                {
                    "op": "merge",
                    "path": "/attributes/fulfillment_availability",
                    "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": quantity}],
                }
            ],
        }
        for number, (sku, quantity) in enumerate(quantities.items(), start=1)
    ]
    header = {"sellerId": SELLER, "version": "2.0", "issueLocale": "en_IN"}
    return json.dumps({"header": header, "messages": messages}).encode()


def envelope(kind, *bodies):
    messages = "".join(
        f"<Message><MessageID>{number}</MessageID><{kind}>{body}</{kind}></Message>"
        for number, body in enumerate(bodies, start=1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><AmazonEnvelope><Header><DocumentVersion>1.01</DocumentVersion>'
        f"<MerchantIdentifier>{SELLER}</MerchantIdentifier></Header><MessageType>{kind}</MessageType>{messages}"
        "</AmazonEnvelope>"
    ).encode()


# --- documents


async def test_an_upload_must_bear_exactly_its_content_type(spapi):
    _, reply = await upload(spapi, b"{}", JSON, sent_as="application/json")
    assert reply.status_code == 403
    assert "SignatureDoesNotMatch" in reply.text
    _, reply = await upload(spapi, b"{}", JSON)
    assert reply.status_code == 200


async def test_a_link_dies_after_five_minutes_and_knows_no_token(spapi, amazon):
    made = await spapi.post(f"{FEEDS}/documents", {"contentType": JSON})
    with_token = {"content-type": JSON, "x-amz-access-token": spapi.token}
    assert (await spapi.http.put(made["url"], content=b"{}", headers=with_token)).status_code == 403
    amazon.pass_time(300)
    late = await spapi.http.put(made["url"], content=b"{}", headers={"content-type": JSON})
    assert (late.status_code, "Request has expired" in late.text) == (403, True)
    forged = made["url"].replace("X-Amz-Expires=300", "X-Amz-Expires=9000")
    assert "SignatureDoesNotMatch" in (await spapi.http.put(forged, content=b"{}", headers={"content-type": JSON})).text
    assert urlsplit(made["url"]).scheme == "https"
    assert parse_qs(urlsplit(made["url"]).query)["X-Amz-Expires"] == ["300"]


# --- a listings feed


async def test_a_feed_passes_its_states_and_reports_each_sku(spapi, amazon, desk, queue):
    await spapi.subscribe("FEED_PROCESSING_FINISHED")
    feed_id = await submit(spapi, "JSON_LISTINGS_FEED", levels(**{"KURTA-BLU-M": 18, "NONE": 3, "BOT-1L-BLU": -1}))
    states = []
    for _ in range(3):
        states.append((await spapi.get(f"{FEEDS}/feeds/{feed_id}"))["processingStatus"])
        amazon.pass_time(7.5)
    assert states == ["IN_QUEUE", "IN_PROGRESS", "DONE"]
    feed, report = await result_of(spapi, feed_id)
    body = json.loads(report)
    assert body["summary"] == {
        "errors": 2, "warnings": 0, "messagesProcessed": 3, "messagesAccepted": 1, "messagesInvalid": 2,
    }  # fmt: skip
    assert [(one["messageId"], one["sku"]) for one in body["issues"]] == [(2, "NONE"), (3, "BOT-1L-BLU")]
    if SPECS.exists():
        schema = (SPECS / "schemas/feeds/listings-feed-processing-report-schema-v2.json").read_text()
        jsonschema_rs.Draft7Validator(json.loads(schema)).validate(body)
    amazon.pass_time(5)
    assert next(one for one in amazon.listings(SELLER) if one.sku == "KURTA-BLU-M").quantity == 18
    await desk.drain()
    (news,) = queue.of("FEED_PROCESSING_FINISHED")
    told = news["payload"]["feedProcessingFinishedNotification"]
    assert (told["feedId"], told["resultFeedDocumentId"]) == (feed_id, feed["resultFeedDocumentId"])
    if SPECS.exists():
        schema = (SPECS / "schemas/notifications/FeedProcessingFinishedNotification.json").read_text()
        jsonschema_rs.Draft7Validator(json.loads(schema)).validate(news)


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        levels(),
        levels(A=1).replace(SELLER.encode(), b"SOMEBODY"),
        b'{"header": {}, "messages": []}',
        b"[" * 200,
    ],
)
async def test_a_feed_that_cannot_be_read_is_fatal(spapi, amazon, content):
    feed_id = await submit(spapi, "JSON_LISTINGS_FEED", content)
    assert amazon.advance_feeds() == 1
    feed, report = await result_of(spapi, feed_id)
    assert (feed["processingStatus"], report) == ("FATAL", None)


async def test_removed_types_are_taken_and_fatal_and_unknown_ones_refused(spapi, amazon):
    feed_id = await submit(spapi, "POST_INVENTORY_AVAILABILITY_DATA", envelope("Inventory", "<SKU>A</SKU>"), XML)
    amazon.advance_feeds()
    assert (await result_of(spapi, feed_id))[0]["processingStatus"] == "FATAL"
    body = {"feedType": "POST_WISHES", "marketplaceIds": [INDIA], "inputFeedDocumentId": "x"}
    assert (await spapi.call("POST", f"{FEEDS}/feeds", body)).status_code == 400


async def test_a_feed_needs_an_uploaded_document_not_older_than_two_days(spapi, amazon):
    made = await spapi.post(f"{FEEDS}/documents", {"contentType": JSON})
    body = {
        "feedType": "JSON_LISTINGS_FEED",
        "marketplaceIds": [INDIA],
        "inputFeedDocumentId": made["feedDocumentId"],
    }
    feed_id = (await spapi.post(f"{FEEDS}/feeds", body))["feedId"]
    amazon.advance_feeds()
    assert (await result_of(spapi, feed_id))[0]["processingStatus"] == "FATAL"
    amazon.pass_time(2 * 86400)
    await spapi.sign_in()
    assert (await spapi.call("POST", f"{FEEDS}/feeds", body)).status_code == 400


async def test_a_queued_feed_can_be_cancelled_and_feeds_are_listed(spapi, amazon):
    first = await submit(spapi, "JSON_LISTINGS_FEED", levels(**{"KURTA-BLU-M": 1}))
    assert (await spapi.call("DELETE", f"{FEEDS}/feeds/{first}")).status_code == 200
    assert (await spapi.call("DELETE", f"{FEEDS}/feeds/{first}")).status_code == 400
    second = await submit(spapi, "JSON_LISTINGS_FEED", levels(**{"KURTA-BLU-M": 2}))
    amazon.pass_time(20)
    page = await spapi.get(f"{FEEDS}/feeds", feedTypes="JSON_LISTINGS_FEED", pageSize=1)
    assert [one["feedId"] for one in page["feeds"]] == [second]
    rest = await spapi.get(f"{FEEDS}/feeds", nextToken=page["nextToken"])
    assert [(one["feedId"], one["processingStatus"]) for one in rest["feeds"]] == [(first, "CANCELLED")]
    assert (await spapi.call("GET", f"{FEEDS}/feeds")).status_code == 400
    assert next(one for one in amazon.listings(SELLER) if one.sku == "KURTA-BLU-M").waiting == (2,)


async def test_five_listings_feeds_in_five_minutes_and_no_more(spapi, amazon):
    document, _ = await upload(spapi, levels(**{"KURTA-BLU-M": 1}))
    body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [INDIA], "inputFeedDocumentId": document}
    statuses = [(await spapi.call("POST", f"{FEEDS}/feeds", body)).status_code for _ in range(6)]
    assert statuses == [202] * 5 + [429]
    assert amazon.stats().overdrawn == {f"{SELLER} JSON_LISTINGS_FEED": 1}


async def test_a_feed_finishes_by_itself_while_nobody_asks(spapi, amazon, desk, queue):
    await spapi.subscribe("FEED_PROCESSING_FINISHED")
    amazon.set_knobs(AmazonKnobChange(feed_queue_seconds=0, feed_work_seconds=0.1))
    await submit(spapi, "JSON_LISTINGS_FEED", levels(**{"KURTA-BLU-M": 1}))
    for _ in range(60):
        if queue.messages:
            break
        await asyncio.sleep(0.05)
    assert queue.of("FEED_PROCESSING_FINISHED")


async def test_a_feed_of_25_000_skus_is_quickly_done(spapi, amazon, http):
    spapi.seller = amazon.create_seller(NewSeller(seller_id="A9BIGSELLER01", goods=25_000))
    await spapi.sign_in()
    content = levels(**{f"SKU-{n:05}": n % 90 for n in range(1, 25_001)}).replace(SELLER.encode(), b"A9BIGSELLER01")
    started = time.monotonic()
    feed_id = await submit(spapi, "JSON_LISTINGS_FEED", content)
    amazon.advance_feeds()
    _, report = await result_of(spapi, feed_id)
    assert json.loads(report)["summary"]["messagesAccepted"] == 25_000
    assert time.monotonic() - started < 10
    one_more = json.loads(content)
    one_more["messages"].append({**one_more["messages"][0], "messageId": 25_001})
    feed_id = await submit(spapi, "JSON_LISTINGS_FEED", json.dumps(one_more).encode())
    amazon.advance_feeds()
    assert (await result_of(spapi, feed_id))[0]["processingStatus"] == "FATAL"


# --- XML feeds


async def test_a_fulfilment_feed_confirms_orders_and_says_which_it_could_not(spapi, amazon):
    good, fba = amazon.place_order(SELLER), amazon.place_order(SELLER, NewAmazonOrder(kind=OrderKind.fba))
    data = (
        "<FulfillmentDate>2026-11-20T12:40:00Z</FulfillmentDate><FulfillmentData><CarrierCode>Delhivery</CarrierCode>"
        "<ShippingMethod>Surface</ShippingMethod><ShipperTrackingNumber>T-1</ShipperTrackingNumber></FulfillmentData>"
    )
    bodies = [f"<AmazonOrderID>{one.id}</AmazonOrderID>{data}" for one in (good, fba)]
    feed_id = await submit(spapi, "POST_ORDER_FULFILLMENT_DATA", envelope("OrderFulfillment", *bodies), XML)
    amazon.advance_feeds()
    _, report = await result_of(spapi, feed_id)
    root = ET.fromstring(report)
    assert [root.findtext(f".//{name}") for name in ("MessagesProcessed", "MessagesSuccessful")] == ["2", "1"]
    assert root.findtext(".//Result/MessageID") == "2"
    assert (amazon.order(good.id).status, amazon.order(good.id).packages[0].tracking) == ("SHIPPED", "T-1")
    assert amazon.order(fba.id) == fba


async def test_an_acknowledgement_of_failure_cancels(spapi, amazon):
    placed = amazon.place_order(SELLER)
    body = f"<AmazonOrderID>{placed.id}</AmazonOrderID><StatusCode>Failure</StatusCode>"
    await submit(spapi, "POST_ORDER_ACKNOWLEDGEMENT_DATA", envelope("OrderAcknowledgement", body), XML)
    amazon.advance_feeds()
    assert amazon.order(placed.id).status == "CANCELLED"


async def test_xml_with_a_dtd_or_half_an_envelope_is_fatal(spapi, amazon):
    bad = (
        b'<!DOCTYPE a [<!ENTITY b "c">]><AmazonEnvelope/>',
        envelope("OrderFulfillment", "<AmazonOrderID/>").replace(b"<MessageID>1</MessageID>", b""),
        envelope("OrderFulfillment", "<AmazonOrderID/>").replace(b"<DocumentVersion>1.01</DocumentVersion>", b""),
        b"<AmazonEnvelope>",
    )
    feeds = [await submit(spapi, "POST_ORDER_FULFILLMENT_DATA", one, XML) for one in bad]
    amazon.advance_feeds()
    assert {(await result_of(spapi, one))[0]["processingStatus"] for one in feeds} == {"FATAL"}


# --- reports


async def fetch(spapi, kind, **more):
    made = await spapi.post(f"{REPORTS}/reports", {"reportType": kind, "marketplaceIds": [INDIA], **more})
    spapi.desk.advance_feeds()
    report = await spapi.get(f"{REPORTS}/reports/{made['reportId']}")
    if "reportDocumentId" not in report:
        return report, []
    told = await spapi.get(f"{REPORTS}/documents/{report['reportDocumentId']}")
    text = gzip.decompress((await spapi.http.get(told["url"])).content).decode()
    return report, list(csv.DictReader(io.StringIO(text), delimiter="\t"))


async def test_the_listings_report_maps_skus_to_asins(spapi, amazon):
    report, rows = await fetch(spapi, "GET_MERCHANT_LISTINGS_ALL_DATA")
    assert report["processingStatus"] == "DONE"
    channels = {row["seller-sku"]: (row["asin1"], row["quantity"], row["fulfillment-channel"]) for row in rows}
    views = {one.sku: one for one in amazon.listings(SELLER)}
    assert channels.keys() == views.keys()
    assert channels["CHAI/250 g"] == (views["CHAI/250 g"].asin, "100", "DEFAULT")
    assert channels["MAT-YOGA-FBA"][1:] == ("", "AMAZON_IN")


async def test_order_reports_hold_a_span_and_no_names(spapi, amazon):
    placed = amazon.place_order(SELLER)
    _, rows = await fetch(spapi, "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_ORDER_DATE_GENERAL")
    assert {row["amazon-order-id"] for row in rows} == {placed.id}
    assert not {"buyer-name", "recipient-name"} & rows[0].keys()
    empty, _ = await fetch(
        spapi, "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_ORDER_DATE_GENERAL", dataEndTime="2020-01-01T00:00:00Z"
    )
    assert empty["processingStatus"] == "CANCELLED"


async def test_a_report_that_names_buyers_needs_a_restricted_token(spapi, amazon):
    amazon.place_order(SELLER)
    body = {"reportType": "GET_FLAT_FILE_ACTIONABLE_ORDER_DATA_SHIPPING", "marketplaceIds": [INDIA]}
    made = await spapi.post(f"{REPORTS}/reports", body)
    amazon.pass_time(10)
    report = await spapi.get(f"{REPORTS}/reports/{made['reportId']}")
    path = f"{REPORTS}/documents/{report['reportDocumentId']}"
    assert (await spapi.call("GET", path)).status_code == 403
    asked = {"restrictedResources": [{"method": "GET", "path": path}]}
    token = (await spapi.post("/tokens/2021-03-01/restrictedDataToken", asked))["restrictedDataToken"]
    spapi.token = token
    assert (await spapi.call("GET", path)).status_code == 200


async def test_inventory_reports_come_once_in_half_an_hour(spapi, amazon):
    states = [(await fetch(spapi, "GET_AFN_INVENTORY_DATA"))[0]["processingStatus"] for _ in range(2)]
    amazon.pass_time(1800)
    states.append((await fetch(spapi, "GET_AFN_INVENTORY_DATA"))[0]["processingStatus"])
    assert states == ["DONE", "CANCELLED", "DONE"]


async def test_a_report_that_ends_is_announced_and_can_be_listed_and_cancelled(spapi, amazon, desk, queue):
    await spapi.subscribe("REPORT_PROCESSING_FINISHED")
    body = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": [INDIA]}
    first = (await spapi.post(f"{REPORTS}/reports", body))["reportId"]
    assert (await spapi.call("DELETE", f"{REPORTS}/reports/{first}")).status_code == 200
    second = (await spapi.post(f"{REPORTS}/reports", body))["reportId"]
    amazon.pass_time(10)
    listed = await spapi.get(f"{REPORTS}/reports", reportTypes="GET_MERCHANT_LISTINGS_ALL_DATA")
    assert [(one["reportId"], one["processingStatus"]) for one in listed["reports"]] == [
        (second, "DONE"),
        (first, "CANCELLED"),
    ]
    await desk.drain()
    told = [one["payload"]["reportProcessingFinishedNotification"] for one in queue.messages]
    assert [(one["reportId"], one["processingStatus"]) for one in told] == [(first, "CANCELLED"), (second, "DONE")]


@pytest.mark.parametrize("kind", ["bomb", "entities", "not_gzip"])
async def test_documents_can_be_poisoned(spapi, amazon, kind):
    made = await spapi.post(
        f"{REPORTS}/reports", {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": [INDIA]}
    )
    amazon.advance_feeds()
    report = await spapi.get(f"{REPORTS}/reports/{made['reportId']}")
    told = await spapi.get(f"{REPORTS}/documents/{report['reportDocumentId']}")
    whole = (await spapi.http.get(told["url"])).content
    amazon.set_knobs(AmazonKnobChange(poison=kind))
    poison = (await spapi.http.get(told["url"])).content
    assert poison != whole
    assert len(poison) < 1_000_000
    amazon.set_knobs(AmazonKnobChange(poison=None))
    assert (await spapi.http.get(told["url"])).content == whole


async def test_the_other_reports(spapi, amazon):
    _, rows = await fetch(spapi, "GET_FLAT_FILE_OPEN_LISTINGS_DATA")
    assert {row["sku"] for row in rows} == {one.sku for one in amazon.listings(SELLER)}
    _, rows = await fetch(spapi, "GET_FBA_MYI_UNSUPPRESSED_INVENTORY_DATA")
    assert [(row["sku"], row["afn-fulfillable-quantity"]) for row in rows] == [("MAT-YOGA-FBA", "100")]
    nothing, _ = await fetch(spapi, "GET_EASYSHIP_WAITING_FOR_PICKUP")
    assert nothing["processingStatus"] == "CANCELLED"
    by_hand, _ = await fetch(spapi, "GET_EASYSHIP_DOCUMENTS")
    assert by_hand["processingStatus"] == "FATAL", "Easy Ship's documents are asked for by a feed"


@pytest.mark.parametrize(
    "changes",
    [
        {"reportType": "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE"},  # removed in November 2026
        {"marketplaceIds": []},
        {"dataStartTime": "2026-02-01T00:00:00Z", "dataEndTime": "2026-01-01T00:00:00Z"},
        {"dataStartTime": "soon"},
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(spapi, amazon, changes):
    body = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": [INDIA], **changes}
    assert (await spapi.call("POST", f"{REPORTS}/reports", body)).status_code == 400
    assert amazon.advance_feeds() == 0


async def test_a_report_passes_its_states(spapi, amazon):
    body = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": [INDIA]}
    report_id = (await spapi.post(f"{REPORTS}/reports", body))["reportId"]
    states = []
    for _ in range(3):
        states.append((await spapi.get(f"{REPORTS}/reports/{report_id}"))["processingStatus"])
        amazon.pass_time(5)
    assert states == ["IN_QUEUE", "IN_PROGRESS", "DONE"]
    other = amazon.create_seller()
    spapi.seller = other
    await spapi.sign_in()
    assert (await spapi.call("GET", f"{REPORTS}/reports/{report_id}")).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        "<CarrierCode>Xpressbees</CarrierCode>",
        "<CarrierCode>Other</CarrierCode>",
    ],
)
async def test_a_fulfilment_feed_knows_indias_carriers(spapi, amazon, change):
    placed = amazon.place_order(SELLER)
    body = (
        f"<AmazonOrderID>{placed.id}</AmazonOrderID><FulfillmentDate>2026-11-20T12:40:00Z</FulfillmentDate>"
        f"<FulfillmentData>{change}<ShipperTrackingNumber>T-1</ShipperTrackingNumber></FulfillmentData>"
    )
    feed_id = await submit(spapi, "POST_ORDER_FULFILLMENT_DATA", envelope("OrderFulfillment", body), XML)
    amazon.advance_feeds()
    _, report = await result_of(spapi, feed_id)
    assert ET.fromstring(report).findtext(".//MessagesWithError") == "1"
    assert amazon.order(placed.id) == placed


async def test_uploads_nobody_uses_are_forgotten_oldest_first(spapi, amazon, monkeypatch):
    monkeypatch.setattr(documents, "MOST_HELD", 250)
    kept = [(await upload(spapi, b"x" * 100))[0] for _ in range(4)]
    held = [amazon.world.documents[one].content is not None for one in kept]
    assert held == [False, False, True, True]
