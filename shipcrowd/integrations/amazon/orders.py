"""Reading orders: the list of those that changed, page by page, and one by itself.

A page costs one of a seller's few searches (one in three minutes), so whole orders are asked for at once, a hundred a
page. Source: orders 2026-01-01.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Literal

from shipcrowd.channels.contract import FailedItem, Page
from shipcrowd.integrations.amazon import mapping, words
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import GET_ORDER, SEARCH_ORDERS
from shipcrowd.integrations.amazon.raw import entries, obj, shown, stamp, text, within
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Malformed
from shipcrowd.orders.schemas import IncomingOrder

DATA = ("BUYER", "RECIPIENT", "PROCEEDS", "CANCELLATION", "FULFILLMENT", "PACKAGES", "TAX", "PAYMENT")
"""What we ask for of each order. What the application has no role for is simply left out of the answer."""

PAGE = 100
_PAGES = 10_000
_SETTLED = timedelta(minutes=2, seconds=5)
"""Amazon answers about nothing younger than two minutes."""

Family = Literal["lastUpdated", "created"]
"""Which of an order's two times a search goes by; they do not mix."""


async def found(client: AmazonClient, since: datetime, family: Family) -> AsyncIterator[Page]:
    """Every order of the marketplace changed (or created) at or after `since`, oldest first.

    A page says through which moment everything has been seen as long as its orders come in the order of that time, as
    they do; that they must is not documented, so where they do not, only the last page says so.
    """
    since = min(since, clock.now() - _SETTLED)
    asked = {
        f"{family}After": stamp(since),
        "marketplaceIds": [(await client.credentials()).place.id],
        "includedData": DATA,
        "maxResultsPerPage": PAGE,
    }
    token: str | None = None
    reached: datetime | None = since
    for _ in range(_PAGES):
        answer = await client.call(SEARCH_ORDERS, query={**asked, "paginationToken": token})
        raws = entries(answer.get("orders"))
        following = text(within(answer, "pagination").get("nextToken")) or None
        if following is not None and following == token:
            raise Malformed("Amazon gives the same page over and over")
        reached = _in_order(raws, reached, family) if reached is not None else None
        token = following
        yield _page(raws, reached if token else mapping.moment(answer.get(f"{family}Before")) or reached)
        if token is None:
            return
    raise Malformed(f"Amazon lists more than {_PAGES * PAGE} orders")


async def raw_order(client: AmazonClient, order_id: str) -> dict[str, Json]:
    """One order as Amazon tells it. Raises Refused("not_found", …)."""
    answer = await client.call(GET_ORDER, path={"orderId": order_id}, query={"includedData": DATA})
    return within(answer, "order")


def _page(raws: list[Json], through: datetime | None) -> Page:
    orders: list[IncomingOrder] = []
    failed: list[FailedItem] = []
    for raw in raws:
        try:
            orders.append(words.notice(mapping.incoming_order(raw)))
        except Malformed as error:
            failed.append(FailedItem(mapping.order_id(raw) or _unnamed(raw), str(error), raw))
    return Page(tuple(orders), tuple(failed), through=through)


def _unnamed(raw: Json) -> str:
    return f"unnamed:{hashlib.sha256(shown(raw).encode()).hexdigest()[:16]}"


def _in_order(raws: list[Json], reached: datetime, family: Family) -> datetime | None:
    """The last time on this page, when everything on it is later than what came before; None when it is not."""
    for raw in raws:
        at = mapping.moment(_field(raw, f"{family}Time"))
        if at is None:
            continue  # a malformed order says nothing about the order of the others
        if at < reached:
            return None
        reached = at
    return reached


def _field(raw: Json, name: str) -> Json:
    try:
        found: Mapping[str, Json] = obj(raw)
    except Malformed:
        return None
    value = found.get(name)
    return value if isinstance(value, str) else None
