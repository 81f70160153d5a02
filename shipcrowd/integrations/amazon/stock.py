"""Setting stock: one patch a SKU for a few, one feed for many.

The number goes by `merge`: `replace` would wipe what else is said of the listing's availability, its handling time
among it. Amazon keeps one number a listing, and takes a number for a listing of its own warehouses as the wish to take
it out of them: such a one is never sent. Source: listings items 2021-08-01, the listings feed 2.0.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from pydantic_core import to_json

from shipcrowd.channels.contract import FeedState, FeedStep, FeedTicket, StockLevel, StockRefusal
from shipcrowd.integrations.amazon import feeds, goods, listings, regions
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.goods import Issue
from shipcrowd.integrations.amazon.operations import PATCH_LISTING
from shipcrowd.integrations.amazon.raw import obj, reading, text, within
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.integrations.amazon.regions import Marketplace
from shipcrowd.kernel.outbound import Json, Malformed, Refused, read_json

log = structlog.get_logger(__name__)

BATCH = 25_000
"""Messages Amazon takes in one feed; with SKUs of the length it allows they stay under its ten MiB."""

FEED_SECONDS = 60.0
"""What a feed takes at the least: it is asked after first when half a minute has gone by, and rarely done then."""

SKU_CHARACTERS = 40
LOOKED_UP = 5_000
"""SKUs of a batch whose listings we have never read, that are looked up before anything is sent."""

_CLOCKS_DIFFER = timedelta(seconds=30)

REPORT_BYTES = 32 * 1024 * 1024
AT_ONCE = 5

_AVAILABILITY = "/attributes/fulfillment_availability"
_ABOUT_ONE = frozenset((400, 404, 409, 413, 422))
"""Statuses that say no to one listing; others (a role is missing, the wrong region) are about all of them."""


async def set_stock(
    client: AmazonClient, levels: Sequence[StockLevel], *, singly: bool
) -> Sequence[StockRefusal] | FeedTicket:
    """See `channels.contract.SetsStock`."""
    refused, sendable = _unfit(levels)
    refused += await _not_ours(client, sendable)
    out = {refusal.external_variant_id for refusal in refused}
    sendable = [level for level in sendable if level.external_variant_id not in out]
    if singly or _seconds(client, len(sendable)) <= FEED_SECONDS:
        return refused + await _patched(client, sendable)
    content = feed(client.seller, (await client.credentials()).place, sendable)
    return FeedTicket(await feeds.prepare(client, content, feeds.JSON), tuple(refused), started=False)


async def start(client: AmazonClient, document: str, *, asked_at: datetime | None, known: Collection[str]) -> str:
    """See `channels.contract.StartsFeeds`. Amazon keeps nothing of ours with a feed: the one that was asked for is
    the latest of the store's listings feeds we have no other name for."""
    if asked_at is not None:
        for feed in await feeds.recent(client, feeds.LISTINGS, asked_at - _CLOCKS_DIFFER):
            if feed.id not in known:
                log.info("amazon_feed_found", feed=feed.id)
                return feed.id
    return await feeds.start(client, feeds.LISTINGS, document)


async def state(client: AmazonClient, reference: str) -> FeedState:
    """See `channels.contract.FollowsFeeds`. Where the report does not tell whose every error is, the feed counts as
    failed: what it held goes once more by itself, and then every answer is about one SKU."""
    told = await feeds.get(client, reference)
    if not told.ended:
        return FeedState(FeedStep.under_way)
    if told.status != feeds.DONE:
        return FeedState(FeedStep.failed, reason=f"Amazon did not work off the file: {told.status}.")
    if not told.result:
        return FeedState(FeedStep.failed, reason="Amazon worked off the file and left no report of it.")
    report = obj(read_json(await feeds.report(client, told, most=REPORT_BYTES)))
    with reading("report of a feed", {"summary": report.get("summary")}):
        return _outcome(report)


def feed(seller: str, place: Marketplace, levels: Sequence[StockLevel]) -> bytes:
    """The content of a listings feed that sets these levels."""
    locale = {"issueLocale": "en_IN"} if place == regions.INDIA else {}
    messages = [
        {"messageId": number, "sku": level.external_variant_id, "operationType": "PATCH", **_patch(level)}
        for number, level in enumerate(levels, 1)
    ]
    return to_json({"header": {"sellerId": seller, "version": "2.0", **locale}, "messages": messages})


def _patch(level: StockLevel) -> dict[str, Json]:
    # More sold than there is, is none there.
    value: dict[str, Json] = {"fulfillment_channel_code": goods.OURS, "quantity": max(level.available, 0)}
    return {"productType": "PRODUCT", "patches": [{"op": "merge", "path": _AVAILABILITY, "value": [value]}]}


# --- what is not sent -------------------------------------------------------------------------------------------------


def _unfit(levels: Sequence[StockLevel]) -> tuple[list[StockRefusal], list[StockLevel]]:
    refused: list[StockRefusal] = []
    fit: list[StockLevel] = []
    for level in levels:
        if level.location:
            words = "Amazon keeps one number for a listing; give it without a location."
            refused.append(StockRefusal(level.external_variant_id, "no_locations", words, level.location))
        elif not 0 < len(level.external_variant_id) <= SKU_CHARACTERS:
            words = f"A SKU at Amazon has 1 to {SKU_CHARACTERS} characters."
            refused.append(StockRefusal(level.external_variant_id, "bad_sku", words))
        else:
            fit.append(level)
    return refused, fit


async def _not_ours(client: AmazonClient, levels: Sequence[StockLevel]) -> list[StockRefusal]:
    """Of listings we have read it is known whose stock they sell (`channels.sending` holds Amazon's back); the others
    are looked up now."""
    unread = [level.external_variant_id for level in levels if level.external_product_id is None]
    held = await listings.at_amazon(client, unread[:LOOKED_UP])
    refused = [
        StockRefusal(sku, "held_by_marketplace", "Amazon holds and counts this itself, in its own warehouse.")
        for sku in unread
        if sku in held
    ]
    words = "The listing of this SKU has not been read yet; read the store's listings, then push it again."
    return refused + [StockRefusal(sku, "listing_not_read", words) for sku in unread[LOOKED_UP:]]


# --- one by one -------------------------------------------------------------------------------------------------------


def _seconds(client: AmazonClient, count: int) -> float:
    """What so many patches take at the pace Amazon grants this seller."""
    return max(0.0, count - PATCH_LISTING.room) / client.rate(PATCH_LISTING)


async def _patched(client: AmazonClient, levels: Sequence[StockLevel]) -> list[StockRefusal]:
    place = (await client.credentials()).place
    refused: list[StockRefusal] = []
    for at in range(0, len(levels), AT_ONCE):
        some = levels[at : at + AT_ONCE]
        # All of them end before any failure goes on: none is left running behind a job that has ended.
        done = await asyncio.gather(*(_patch_one(client, place, level) for level in some), return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is not None:
                refused.append(outcome)
    return refused


async def _patch_one(client: AmazonClient, place: Marketplace, level: StockLevel) -> StockRefusal | None:
    sku = level.external_variant_id
    try:
        answer = await _send_patch(client, place, level)
        with reading("answer to a patch", answer):
            return _refusal(sku, answer)
    except NotDone as refused:
        if refused.status not in _ABOUT_ONE:
            raise
        return StockRefusal(sku, refused.code, refused.message)
    except Refused as refused:  # an id that is none: nothing was sent
        return StockRefusal(sku, refused.code, refused.message)
    except Malformed:
        words = "Amazon's answer could not be read; whether the number was taken is not known. Push it again."
        return StockRefusal(sku, "unreadable_answer", words)


async def _send_patch(client: AmazonClient, place: Marketplace, level: StockLevel) -> dict[str, Json]:
    query: dict[str, str | Sequence[str] | None] = {
        "marketplaceIds": [place.id],
        "issueLocale": "en_IN" if place == regions.INDIA else None,
    }
    path = {"sellerId": client.seller, "sku": level.external_variant_id}
    return await client.call_patiently(PATCH_LISTING, path=path, query=query, body=_patch(level))


def _refusal(sku: str, answer: Mapping[str, Json]) -> StockRefusal | None:
    """What a patch came to; None for one that was taken. INVALID comes with status 200, as ACCEPTED does."""
    status = text(answer.get("status"))
    if status == "ACCEPTED":
        return None
    found = goods.errors(answer.get("issues"), sku)
    code, words = goods.joined(found) if found else (status or "no_status", f"Amazon answered {status or 'nothing'}.")
    return StockRefusal(sku, code, words)


# --- a feed's report --------------------------------------------------------------------------------------------------


def _outcome(report: Mapping[str, Json]) -> FeedState:
    by_sku: dict[str, list[Issue]] = {}
    for issue in goods.errors(report.get("issues")):
        by_sku.setdefault(issue.sku, []).append(issue)
    nameless = by_sku.pop("", [])
    invalid = within(report, "summary")["messagesInvalid"]
    if nameless or not isinstance(invalid, int) or invalid > len(by_sku):
        words = goods.joined(nameless)[1] if nameless else "Amazon's report does not name every SKU it refused."
        return FeedState(FeedStep.failed, reason=words)
    return FeedState(FeedStep.done, tuple(StockRefusal(sku, *goods.joined(found)) for sku, found in by_sku.items()))
