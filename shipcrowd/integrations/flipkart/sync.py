"""Reading shipments: what changed since a moment, and one or many by id, each with its addresses and AWB.

Flipkart lists shipments in six searches (not yet dispatched: held and not held, which a search shows one or the other
of; dispatched; cancelled by each of three), sorted by the time of change. Its pages are numbered over a set that
changes while it is read, so what moves between two pages is skipped. Therefore only first pages are read: the next
search starts at the last change seen. Further pages are asked for only where more shipments changed in one moment than
a page holds, or where the list is not in order.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from shipcrowd.channels.contract import FailedItem, Page
from shipcrowd.integrations.flipkart import client, mapping, words
from shipcrowd.integrations.flipkart.client import FlipkartClient
from shipcrowd.integrations.flipkart.reading import moment, obj, objects, spoken, text
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Malformed, Refused
from shipcrowd.orders.schemas import IncomingOrder

log = structlog.get_logger(__name__)

UNKNOWN_WORDS = Counter("shipcrowd_flipkart_unknown_words_total", "Words of Flipkart's that we do not know", ["field"])

AHEAD = timedelta(minutes=5)  # of our clock, so that theirs may be fast
PROFILES = ("NON_FBF", "FBF_LITE", "FBF")
_MOST_SEARCHES = 10_000

Raw = dict[str, Json]


@dataclass
class Search:
    """One of the six, and how far it has been read."""

    filter: Mapping[str, Json]
    reached: datetime
    again: bool = False  # what it finds is read once more by id: a search for cancellations may show only those
    seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


def searches(since: datetime) -> list[Search]:
    pre, post = list(words.PRE_DISPATCH), list(words.POST_DISPATCH)
    return [
        Search({"type": "preDispatch", "states": pre, "hold": False}, since),
        Search({"type": "preDispatch", "states": pre, "hold": True}, since),
        Search({"type": "postDispatch", "states": post}, since),
        *(
            Search({"type": "cancelled", "states": ["CANCELLED"], "cancellationType": by}, since, again=True)
            for by in words.CANCELLATIONS
        ),
    ]


async def changed(api: FlipkartClient, since: datetime) -> AsyncIterator[Page]:
    """Everything changed at or after `since`. The search that is furthest behind goes on first, so that pages come by
    time of change, and `through` is what all of them have passed."""
    started = clock.now()
    under_way = [(search, _found(api, search)) for search in searches(since)]
    while under_way:
        search, pages = min(under_way, key=lambda each: each[0].reached)
        found = await anext(pages, None)
        if found is None:
            # What changes there from now on is for the next sweep, which is why nothing is passed after `started`.
            under_way.remove((search, pages))
            continue
        whole = await _by_id(api, [text(raw.get("shipmentId")) for raw in found]) if search.again else found
        through = min(min(other.reached for other, _ in under_way), started)
        yield await _page(api, whole, through)


async def _found(api: FlipkartClient, search: Search) -> AsyncIterator[list[Raw]]:
    """The shipments of one search, a page at a time, none twice in the same form. Moves `search.reached`."""
    for _ in range(_MOST_SEARCHES):
        further = False
        async for page, more in api.pages(client.SEARCH, key="shipments", body=_asked(search)):
            new = [raw for raw in page if _form(raw) not in search.seen]
            search.seen.update(_form(raw) for raw in new)
            reached = _passed(page, search.reached)
            if reached is not None and reached > search.reached:
                further, search.reached = more, reached
                # Only those of the last moment can come again.
                search.seen = {_form(raw) for raw in page if _changed(raw) == reached}
            if new:
                yield new
            if further:
                break
        if not further:
            return
    raise Malformed("Flipkart's list does not come to an end")


def _asked(search: Search) -> Json:
    window = {"from": spoken(search.reached), "to": spoken(clock.now() + AHEAD)}
    return {
        "filter": {**search.filter, "modifiedDate": window, "serviceProfiles": list(PROFILES)},
        "pagination": {"pageSize": client.SEARCH_PAGE},
        "sort": {"field": "modifiedDate", "order": "asc"},
    }


def _changed(raw: Raw) -> datetime | None:
    try:
        return moment(raw.get("updatedAt"))
    except (ValueError, Malformed):
        return None


def _form(raw: Raw) -> tuple[str, str]:
    return str(raw.get("shipmentId")), str(raw.get("updatedAt"))


def _passed(page: Sequence[Raw], since: datetime) -> datetime | None:
    """The last change of a page that is in order; None for one that is not, which proves nothing of what follows."""
    times = [_changed(raw) for raw in page]
    known = [at for at in times if at is not None]
    if not known or len(known) != len(times) or known != sorted(known) or known[0] < since.replace(microsecond=0):
        return None
    return known[-1]


async def probe(api: FlipkartClient) -> None:
    """One search for nothing in particular. Raises what is wrong with the connection."""
    await api.call(client.SEARCH, body=_asked(searches(clock.now())[0]))


async def one(api: FlipkartClient, shipment_id: str) -> tuple[Raw, Raw]:
    """A shipment and its details, read afresh. Raises Refused("not_found", …)."""
    found = await _by_id(api, [shipment_id])
    if not found:
        raise Refused("not_found", "Flipkart has no such shipment.")
    return found[0], (await details(api, [shipment_id])).get(shipment_id, {})


async def named(api: FlipkartClient, shipment_ids: Sequence[str]) -> Page:
    """Shipments with their details, read afresh. One Flipkart does not know is in no part of the page."""
    return await _page(api, await _by_id(api, shipment_ids), None)


async def state_of(api: FlipkartClient, shipment_id: str) -> mapping.Standing:
    """How one shipment stands now. Raises Refused("not_found", …)."""
    found = await _by_id(api, [shipment_id])
    if not found:
        raise Refused("not_found", "Flipkart has no such shipment.")
    return mapping.standing(found[0])


async def states_of(api: FlipkartClient, shipment_ids: Sequence[str]) -> Mapping[str, mapping.Standing]:
    """How shipments stand now. One Flipkart does not know is not in the answer."""
    return {how.id: how for how in map(mapping.standing, await _by_id(api, shipment_ids))}


async def details(api: FlipkartClient, shipment_ids: Sequence[str]) -> Mapping[str, Raw]:
    """Addresses, buyer and courier by shipment id. Flipkart may not know all, or be late to know."""
    found: dict[str, Raw] = {}
    for some in batches(shipment_ids, client.AT_ONCE):
        answer = obj(await api.call(client.DETAILS, ids=some))
        found |= {text(raw.get("shipmentId")): raw for raw in objects(answer.get("shipments"))}
    return found


async def _by_id(api: FlipkartClient, shipment_ids: Sequence[str]) -> list[Raw]:
    found: list[Raw] = []
    for some in batches(list(dict.fromkeys(shipment_ids)), client.AT_ONCE):
        answer = obj(await api.call(client.SHIPMENTS, params={"shipmentIds": ",".join(some)}))
        found += objects(answer.get("shipments"))
    return found


async def _page(api: FlipkartClient, found: Sequence[Raw], through: datetime | None) -> Page:
    told = await details(api, [each for raw in found if (each := str(raw.get("shipmentId") or ""))])
    orders: list[IncomingOrder] = []
    failed: list[FailedItem] = []
    for raw in found:
        shipment = str(raw.get("shipmentId") or "")
        try:
            orders.append(noticed(mapping.incoming_order(raw, told.get(shipment))))
        except Malformed as error:
            failed.append(FailedItem(shipment, str(error), raw))
    return Page(tuple(orders), tuple(failed), through=through)


def noticed(order: IncomingOrder) -> IncomingOrder:
    """Count the words in this order that we do not know; the order itself goes on unchanged."""
    for name, word in words.unknown_words(order.attributes):
        UNKNOWN_WORDS.labels(name).inc()
        log.warning("flipkart_unknown_word", field=name, word=word[:60], shipment=order.external_id)
    return order


def batches(ids: Sequence[str], size: int) -> list[Sequence[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
