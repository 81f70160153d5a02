"""Feeds 2021-06-30: document, feed, states, report."""

from collections.abc import Callable
from datetime import timedelta

from shipcrowd.sandbox.amazon import documents, feed_work, limits, publish
from shipcrowd.sandbox.amazon.call import Answer, Body, Call, Refused, invalid, record, stamp, texts
from shipcrowd.sandbox.amazon.state import Amazon, Feed

DOCUMENT_LIFE = timedelta(days=2)
OLDEST = timedelta(days=90)
MOST_BYTES = 10 * 1024 * 1024
STATES = frozenset(("CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"))

REMOVED = frozenset(
    (
        "POST_PRODUCT_DATA", "POST_INVENTORY_AVAILABILITY_DATA", "POST_PRODUCT_PRICING_DATA", "POST_PRODUCT_IMAGE_DATA",
        "POST_PRODUCT_RELATIONSHIP_DATA", "POST_PRODUCT_OVERRIDES_DATA", "POST_FLAT_FILE_INVLOADER_DATA",
        "POST_FLAT_FILE_LISTINGS_DATA", "POST_FLAT_FILE_PRICEANDQUANTITYONLY_UPDATE_DATA",
    )
)  # fmt: skip
"""Taken, and FATAL since July 2025."""

IDLE = frozenset(("POST_FLAT_FILE_FULFILLMENT_DATA", "POST_PAYMENT_ADJUSTMENT_DATA", "UPLOAD_VAT_INVOICE"))
"""Alive at Amazon; here they are done without doing anything."""


# --- the API --------------------------------------------------------------------------------------------------


def create_document(call: Call) -> Answer:
    content_type = call.body.get("contentType")
    if not isinstance(content_type, str) or not content_type:
        raise _bad("contentType is required")
    made = documents.make(call.world, call.seller, "tortuga", content_type)
    return Answer({"feedDocumentId": made.id, "url": documents.link(call.world, made, "PUT")}, 201)


def get_document(call: Call) -> Answer:
    found = call.world.documents.get(call.path["feedDocumentId"])
    if found is None or found.owner is not call.seller:
        raise _bad("Invalid feedDocumentId")
    return Answer(documents.told(call.world, found, "feedDocumentId"))


def create_feed(call: Call) -> Answer:
    """Queue it. What is wrong with its content shows later, in its state and its report."""
    kind, markets = call.body.get("feedType"), texts(call.body.get("marketplaceIds"))
    if kind not in feed_work.WORK and kind not in REMOVED and kind not in IDLE:
        raise _bad("feedType is invalid")
    call.check_marketplaces(markets)
    if len(markets) > 25:
        raise _bad("marketplaceIds: at most 25")
    document = call.world.documents.get(str(call.body.get("inputFeedDocumentId")))
    if document is None or document.owner is not call.seller or document.made_at + DOCUMENT_LIFE <= call.now:
        raise _bad("inputFeedDocumentId is invalid")
    if kind == feed_work.LISTINGS and not limits.listings_feed_admitted(call.world, call.seller.id, call.now):
        raise Refused(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
    options = {str(name): str(value) for name, value in record(call.body.get("feedOptions")).items()}
    feed = Feed(call.world.digits(11), call.seller, call.app, str(kind), tuple(markets), document, options, call.now)
    call.seller.feeds[feed.id] = feed
    call.world.running_feeds.append(feed)
    call.world.wake()
    return Answer({"feedId": feed.id}, 202)


def get_feed(call: Call) -> Answer:
    return Answer(_feed(_find(call)))


def get_feeds(call: Call) -> Answer:
    """Newest first, in one page or several; `nextToken` goes alone."""
    if token := call.query.get("nextToken"):
        if set(call.query) != {"nextToken"}:
            raise _bad("nextToken cannot be combined with other parameters")
        kinds, states, size, start = _token(token)
    else:
        kinds, states = call.listed("feedTypes"), call.listed("processingStatuses")
        if not kinds:
            raise _bad("feedTypes or nextToken is required")
        if frozenset(states) - STATES:
            raise _bad("Invalid input in processing status")
        size, start = call.number("pageSize", 10, 1, 100), 0
    since, until = call.moment("createdSince") or call.now - OLDEST, call.moment("createdUntil") or call.now
    fits = [
        one
        for one in reversed(call.seller.feeds.values())
        if one.type in kinds and (not states or one.status in states) and since <= one.created_at <= until
    ]
    body: Body = {"feeds": [_feed(one) for one in fits[start : start + size]]}
    if len(fits) > start + size:
        body["nextToken"] = "~".join((",".join(kinds), ",".join(states), str(size), str(start + size)))
    return Answer(body)


def _token(token: str) -> tuple[list[str], list[str], int, int]:
    parts = token.split("~")
    if len(parts) != 4 or not parts[2].isdigit() or not parts[3].isdigit():
        raise _bad("nextToken is invalid")
    return parts[0].split(","), [one for one in parts[1].split(",") if one], int(parts[2]), int(parts[3])


def cancel_feed(call: Call) -> Answer:
    feed = _find(call)
    if feed.status != "IN_QUEUE":
        raise _bad(f"A feed that is {feed.status} cannot be cancelled")
    _end(call.world, feed, "CANCELLED")
    return Answer({})


def _find(call: Call) -> Feed:
    found = call.seller.feeds.get(call.path["feedId"])
    if found is None:
        raise _bad("Invalid feedId")
    return found


def _bad(details: str) -> Refused:
    return invalid("Invalid input", details, "400")


def _feed(it: Feed) -> Body:
    return {
        "feedId": it.id,
        "feedType": it.type,
        "marketplaceIds": list(it.marketplaces),
        "createdTime": stamp(it.created_at),
        "processingStatus": it.status,
        **({"processingStartTime": stamp(it.started_at)} if it.started_at else {}),
        **({"processingEndTime": stamp(it.ended_at)} if it.ended_at else {}),
        **({"resultFeedDocumentId": it.result.id} if it.result else {}),
    }


# --- its states -----------------------------------------------------------------------------------------------


def settle(world: Amazon) -> bool:
    """Move every feed as far as its time has come; whether some still run."""
    now = world.now()
    for feed in list(world.running_feeds):
        started = feed.created_at + timedelta(seconds=world.knobs.feed_queue_seconds)
        if now >= started + timedelta(seconds=world.knobs.feed_work_seconds):
            feed.started_at = feed.started_at or started
            process(world, feed)
        elif now >= started and feed.status == "IN_QUEUE":
            feed.status, feed.started_at = "IN_PROGRESS", started
    return bool(world.running_feeds)


def process(world: Amazon, feed: Feed) -> None:
    """Do what the feed says, write its report, announce its end."""
    if feed.status not in ("IN_QUEUE", "IN_PROGRESS"):
        return
    content = feed.input.content
    work: Callable[[Amazon, Feed, bytes], tuple[str, bytes]] | None = feed_work.WORK.get(feed.type)
    if feed.type in IDLE:
        _end(world, feed, "DONE")
        return
    if work is None or content is None or len(content) >= MOST_BYTES:
        _end(world, feed, "FATAL")
        return
    try:
        content_type, report = work(world, feed, content)
    except feed_work.BadFeed:
        _end(world, feed, "FATAL")
        return
    feed.result = documents.make(world, feed.seller, "tortuga", content_type, report)
    _end(world, feed, "DONE")


def _end(world: Amazon, feed: Feed, status: str) -> None:
    feed.status, feed.ended_at = status, world.now()
    # What was uploaded has done its work; 25,000 messages are not kept for the sake of a listing of feeds.
    feed.input.content = None
    if feed in world.running_feeds:
        world.running_feeds.remove(feed)
    publish.feed_finished(world, feed)
