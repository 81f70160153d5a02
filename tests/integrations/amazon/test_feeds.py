import gzip
import json
from datetime import timedelta

import httpx2
import pytest

from shipcrowd.integrations.amazon import feeds
from shipcrowd.integrations.amazon.documents import UntrustedDocument
from shipcrowd.integrations.amazon.feeds import Feed
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable
from tests.integrations.amazon.far_side import NOW, refused, throttled

URL = "https://tortuga-prod-eu.s3-eu-west-1.amazonaws.com/feed?X-Amz-Signature=secret"
pytestmark = pytest.mark.usefixtures("at_now")


@pytest.fixture
def taking(amazon):
    return amazon.on("createFeedDocument", {"feedDocumentId": "amzn1.tortuga.1", "url": URL}).on(
        "createFeed", {"feedId": "5002"}
    )


async def test_a_feed_is_a_document_its_content_and_the_feed(taking):
    made = await feeds.submit(
        taking.client(), feeds.EASY_SHIP_DOCUMENTS, b"<AmazonEnvelope/>", feeds.XML, options={"AmazonOrderId": "403-1"}
    )
    assert made == "5002"
    assert taking.operations() == ["createFeedDocument", "createFeed"]
    assert taking.calls("createFeedDocument")[0].body == {"contentType": "text/xml; charset=UTF-8"}
    [(method, url, headers, content)] = taking.documents
    assert (method, url, content) == ("PUT", URL, b"<AmazonEnvelope/>")
    assert headers["content-type"] == "text/xml; charset=UTF-8"
    assert taking.calls("createFeed")[0].body == {
        "feedType": "POST_EASYSHIP_DOCUMENTS",
        "marketplaceIds": ["A21TJRUUN4KGV"],
        "inputFeedDocumentId": "amzn1.tortuga.1",
        "feedOptions": {"AmazonOrderId": "403-1"},
    }


async def test_a_feed_that_is_too_large_is_not_made(taking):
    with pytest.raises(Refused) as raised:
        await feeds.submit(taking.client(), feeds.LISTINGS, b"x" * (10 * 1024 * 1024 + 1), feeds.JSON)
    assert raised.value.code == "too_large"
    assert taking.documents == [] and taking.calls("createFeed") == []


async def test_a_document_is_laid_down_without_a_feed(taking):
    assert await feeds.prepare(taking.client(), b"{}", feeds.JSON) == "amzn1.tortuga.1"
    assert taking.operations() == ["createFeedDocument"]
    assert [content for _, _, _, content in taking.documents] == [b"{}"]


@pytest.mark.parametrize(
    ("answer", "maybe"),
    [
        (httpx2.ReadTimeout("no answer"), True),
        (httpx2.Response(504, content=b"<html>"), True),
        (throttled(), False),
        (httpx2.ConnectError("refused"), False),
    ],
)
async def test_whether_a_feed_that_was_not_answered_may_be_there_is_told(taking, answer, maybe):
    taking.on("createFeed", answer)
    with pytest.raises(Unavailable) as raised:
        await feeds.start(taking.client(), feeds.LISTINGS, "amzn1.tortuga.1")
    assert raised.value.maybe_received is maybe
    assert taking.operations() == ["createFeed"]


async def test_a_refused_feed_says_why(taking):
    taking.on("createFeed", refused(400, "InvalidInput", "Invalid feed type"))
    with pytest.raises(NotDone) as raised:
        await feeds.submit(taking.client(), "POST_PRODUCT_DATA", b"<a/>", feeds.XML)
    assert raised.value.message == "Invalid feed type"


async def test_a_document_without_its_parts_is_malformed_and_its_address_is_not_kept(taking):
    taking.on("createFeedDocument", {"url": URL})
    with pytest.raises(Malformed) as raised:
        await feeds.submit(taking.client(), feeds.LISTINGS, b"{}", feeds.JSON)
    assert "secret" not in raised.value.raw
    assert taking.documents == []


@pytest.mark.parametrize(
    ("status", "ended"),
    [("IN_QUEUE", False), ("IN_PROGRESS", False), ("DONE", True), ("CANCELLED", True), ("FATAL", True), ("NEW", False)],
)
async def test_where_a_feed_stands(amazon, status, ended):
    amazon.on("getFeed", {"feedId": "5", "feedType": "F", "processingStatus": status, "resultFeedDocumentId": "d"})
    found = await feeds.get(amazon.client(), "5")
    assert (found, found.ended) == (Feed("5", "F", status, "d"), ended)


async def test_a_report_is_unpacked(amazon):
    amazon.on("getFeedDocument", {"feedDocumentId": "d", "url": URL, "compressionAlgorithm": "GZIP"})
    amazon.document = gzip.compress(json.dumps({"issues": []}).encode())
    assert await feeds.report(amazon.client(), Feed("5", "F", "DONE", "d")) == b'{"issues": []}'
    assert amazon.calls("getFeedDocument")[0].path == {"feedDocumentId": "d"}


@pytest.mark.parametrize("packed", [True, False])
async def test_a_report_over_the_cap_is_not_read(amazon, packed):
    amazon.on("getFeedDocument", {"url": URL, **({"compressionAlgorithm": "GZIP"} if packed else {})})
    amazon.document = gzip.compress(b"x" * 5000) if packed else b"x" * 5000
    with pytest.raises(Malformed, match="more than"):
        await feeds.report(amazon.client(), Feed("5", "F", "DONE", "d"), most=4999)


async def test_a_report_elsewhere_is_not_opened(amazon):
    amazon.on("getFeedDocument", {"url": "https://evil.example/report"})
    with pytest.raises(UntrustedDocument):
        await feeds.report(amazon.client(), Feed("5", "F", "DONE", "d"))
    assert amazon.documents == []


async def test_feeds_made_since(amazon):
    older = NOW - timedelta(minutes=5)
    told = [
        {"feedId": "1", "processingStatus": "DONE", "createdTime": older.isoformat()},
        {"feedId": "2", "processingStatus": "IN_QUEUE", "createdTime": NOW.isoformat()},
    ]
    amazon.on("getFeeds", {"feeds": told})
    found = await feeds.recent(amazon.client(), "F", NOW - timedelta(hours=1))
    assert found == [Feed("2", "", "IN_QUEUE", created_at=NOW), Feed("1", "", "DONE", created_at=older)]
    asked = amazon.calls("getFeeds")[0].query
    assert asked == {"feedTypes": "F", "createdSince": "2026-11-20T05:45:00.000Z", "pageSize": "100"}
