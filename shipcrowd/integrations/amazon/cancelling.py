"""Cancelling an order at Amazon: by `cancelOrder`, and where Amazon does not have it for us, by a feed that says the
order cannot be fulfilled. A feed is answered minutes later.

Source: Amazon's reference of orders 2026-01-01 (the published models lack the operation), OrderAcknowledgement's XSD.
"""

from collections.abc import Mapping

import structlog

from shipcrowd.channels.contract import FeedTicket
from shipcrowd.integrations.amazon import envelopes, feeds, words
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import CANCEL_ORDER
from shipcrowd.integrations.amazon.orders import raw_order
from shipcrowd.integrations.amazon.raw import objects, reading, text, within
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.kernel.outbound import Json, Refused

log = structlog.get_logger(__name__)

CANCELLED = frozenset({"CANCELLED", "CANCELED"})
REPORT_BYTES = 1024 * 1024


async def cancel(client: AmazonClient, order_ref: str, reason: str) -> FeedTicket | None:
    """Cancel the whole order; a ticket where a feed carries it. Raises Refused in Amazon's words."""
    code = words.cancel_reason(reason)
    try:
        await client.call(CANCEL_ORDER, path={"orderId": order_ref}, body={"cancelReasonCode": code})
        return None
    except NotDone as refusal:
        # Cancelled already, by the buyer or by a try whose answer was lost, is what was wanted.
        order = await raw_order(client, order_ref)
        if _over(order):
            return None
        if refusal.code != "forbidden":
            raise
        log.info("amazon_cancels_by_feed", order=order_ref)
    content = envelopes.envelope(client.seller, "OrderAcknowledgement", [_message(order, order_ref, code)])
    feed_id = await feeds.submit(client, feeds.ORDER_ACKNOWLEDGEMENT, content, feeds.XML)
    return FeedTicket(f"{feed_id}/{order_ref}")


async def done(client: AmazonClient, ticket: FeedTicket) -> bool:
    """Whether what a ticket stands for is done; False while Amazon works on it. Raises Refused where it was not."""
    feed_id, _, order_ref = ticket.reference.partition("/")
    feed = await feeds.get(client, feed_id)
    if not feed.ended:
        return False
    faults: list[envelopes.Fault] = []
    if feed.result:
        faults = envelopes.faults(envelopes.read(await feeds.report(client, feed, most=REPORT_BYTES)))
    if (feed.status == feeds.DONE and not faults) or _over(await raw_order(client, order_ref)):
        return True
    said = "; ".join(dict.fromkeys(fault.words for fault in faults if fault.words))[:500]
    code = faults[0].code if faults else feed.status.lower()
    raise Refused(f"feed_{code}", said or f"Amazon did not take the cancellation ({feed.status}).")


def _over(order: Mapping[str, Json]) -> bool:
    return text(within(order, "fulfillment").get("fulfillmentStatus")) in CANCELLED


def _message(order: Mapping[str, Json], order_ref: str, code: str) -> str:
    with reading("order", dict(order)):
        items = [text(item["orderItemId"]) for item in objects(order.get("orderItems"))]
    because = envelopes.tag("CancelReason", words.FEED_CANCEL_REASONS[code])
    inside = "".join(f"<Item>{envelopes.tag('AmazonOrderItemCode', item)}{because}</Item>" for item in items)
    return f"{envelopes.tag('AmazonOrderID', order_ref)}{envelopes.tag('StatusCode', 'Failure')}{inside}"
