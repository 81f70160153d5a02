"""Feeds: a file of many changes, taken now, worked off later, and answered with a report of its own.

A feed goes in four steps (a document, its content, the feed, its report), each a call that may be made again. Source:
feeds 2021-06-30.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shipcrowd.integrations.amazon import documents, mapping
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import (
    CREATE_FEED,
    CREATE_FEED_DOCUMENT,
    GET_FEED,
    GET_FEED_DOCUMENT,
    GET_FEEDS,
)
from shipcrowd.integrations.amazon.raw import objects, reading, stamp, text
from shipcrowd.kernel.outbound import Json

LISTINGS = "JSON_LISTINGS_FEED"
ORDER_ACKNOWLEDGEMENT = "POST_ORDER_ACKNOWLEDGEMENT_DATA"
EASY_SHIP_DOCUMENTS = "POST_EASYSHIP_DOCUMENTS"

JSON = "application/json; charset=UTF-8"
XML = "text/xml; charset=UTF-8"

DONE, CANCELLED, FATAL = "DONE", "CANCELLED", "FATAL"
ENDED = frozenset((DONE, CANCELLED, FATAL))
"""Any other word, one we do not know among them, means that it is still under way."""


@dataclass(frozen=True)
class Feed:
    """Where a feed stands. `status` is Amazon's word, `result` the id of its report, blank while there is none. DONE
    says that there is a report, not that everything was taken."""

    id: str
    kind: str
    status: str
    result: str = ""
    created_at: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


async def submit(
    client: AmazonClient, kind: str, content: bytes, content_type: str, *, options: Mapping[str, str] | None = None
) -> str:
    """Hand over a feed of this kind; its id. A call that was cut short may leave one behind of which nobody here knows:
    only for what may be done twice. Raises Refused and the outside failures."""
    return await start(client, kind, await prepare(client, content, content_type), options=options)


async def prepare(client: AmazonClient, content: bytes, content_type: str) -> str:
    """Lay down a feed's content (JSON or XML in exactly `content_type`), at most `documents.FEED_BYTES`; the document's
    id. Nothing comes of it until it is started. Raises Refused and the outside failures."""
    made = await client.call(CREATE_FEED_DOCUMENT, body={"contentType": content_type})
    with reading("feed document", _without_url(made)):
        document, url = text(made["feedDocumentId"]), text(made["url"])
    await documents.upload(client.http, url, content, content_type)
    return document


async def start(client: AmazonClient, kind: str, document: str, *, options: Mapping[str, str] | None = None) -> str:
    """Have a document worked off as a feed of this kind; the feed's id. Unavailable(maybe_received=True) may leave a
    feed behind, which can be told from others by its kind and its time alone (`recent`). Raises Refused and the outside
    failures."""
    body: dict[str, Json] = {
        "feedType": kind,
        "marketplaceIds": [(await client.credentials()).place.id],
        "inputFeedDocumentId": document,
    }
    if options:
        body["feedOptions"] = dict(options)
    answer = await client.call(CREATE_FEED, body=body)
    with reading("feed", answer):
        return text(answer["feedId"])


async def get(client: AmazonClient, feed_id: str) -> Feed:
    """Raises Refused where Amazon knows no such feed (any more: they are kept for ninety days)."""
    return _feed(await client.call(GET_FEED, path={"feedId": feed_id}))


async def recent(client: AmazonClient, kind: str, since: datetime) -> list[Feed]:
    """The seller's feeds of this kind made since then, the latest first, at most a hundred."""
    answer = await client.call(
        GET_FEEDS, query={"feedTypes": [kind], "createdSince": stamp(since), "pageSize": 100}
    )  # fmt: skip
    found = [_feed(raw) for raw in objects(answer.get("feeds"))]
    return sorted(found, key=lambda feed: feed.created_at or since, reverse=True)


async def report(client: AmazonClient, feed: Feed, *, most: int = documents.UNPACKED_BYTES) -> bytes:
    """The report of a feed that has one (`feed.result`), unpacked; Malformed where it holds more than `most` bytes."""
    answer = await client.call(GET_FEED_DOCUMENT, path={"feedDocumentId": feed.result})
    return await documents.download(client.http, answer, most=most)


def _feed(raw: Mapping[str, Json]) -> Feed:
    with reading("feed", dict(raw)):
        return Feed(
            id=text(raw["feedId"]),
            kind=text(raw.get("feedType")),
            status=text(raw.get("processingStatus")),
            result=text(raw.get("resultFeedDocumentId")),
            created_at=mapping.moment(raw.get("createdTime")),
        )


def _without_url(made: Mapping[str, Json]) -> dict[str, Json]:
    """For what is kept of a reply that cannot be read: the address is a secret."""
    return {name: value for name, value in made.items() if name != "url"}
