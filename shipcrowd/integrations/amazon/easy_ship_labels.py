"""The long way to an Easy Ship label: a feed asks for it, the feed's report names another report, and the document of
that, opened with a restricted token, is the PDF. Source: Easy Ship's use case guide, `POST_EASYSHIP_DOCUMENTS`.

Minutes lie between the steps, so each ends with an address that says how far it is, which the next step is asked with:
`…/order/403-…` → `…/feed/50021…/1763…` → `…/report/amzn1.easyship.document.…`.
"""

import re
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

from shipcrowd.couriers.contract import LabelUnderWay
from shipcrowd.integrations.amazon import envelopes, feeds, reports
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Malformed, Refused

AT = "amazon://easy-ship"
LOOK_AFTER = (30.0, 300.0)
"""Seconds until a feed is looked at first, and at most until it is looked at again."""
GIVEN_UP_AFTER = timedelta(hours=6)
MOST_BYTES = 10 * 1024 * 1024

_STEP = re.compile(re.escape(AT) + r"/(order|feed|report)/([^/]+)(?:/(\d{1,12}))?")


def wanted(order_id: str) -> str:
    """Where an order's label is to be asked for."""
    return f"{AT}/order/{quote(order_id, safe='')}"


async def step(client: AmazonClient, url: str) -> bytes | LabelUnderWay:
    """The next step from here: the PDF, or where and when to go on. Raises Refused in Amazon's words, and for an
    address that is none of these."""
    found = _STEP.fullmatch(url)
    if found is None:
        raise Refused("foreign_label", "The label is not at Amazon's address.")
    kind, it = found.group(1), unquote(found.group(2))
    if kind == "order":
        feed_id = await feeds.submit(
            client,
            feeds.EASY_SHIP_DOCUMENTS,
            envelopes.envelope(client.seller, "EasyShipDocument", [_message(it)]),
            feeds.XML,
            options={"AmazonOrderId": it, "DocumentType": "ShippingLabel"},
        )
        return LabelUnderWay(_feed(feed_id, clock.now()), LOOK_AFTER[0])
    if kind == "feed":
        return await _of_feed(client, it, datetime.fromtimestamp(int(found.group(3) or 0), clock.now().tzinfo))
    return await _of_report(client, it)


async def _of_feed(client: AmazonClient, feed_id: str, since: datetime) -> LabelUnderWay:
    feed = await feeds.get(client, feed_id)
    if not feed.ended:
        waited = clock.now() - since
        if waited > GIVEN_UP_AFTER:
            raise Refused("label_never_came", "Amazon has not made the label for hours; fetch it in Seller Central.")
        return LabelUnderWay(_feed(feed_id, since), min(max(waited.total_seconds(), LOOK_AFTER[0]), LOOK_AFTER[1]))
    if feed.status != feeds.DONE or not feed.result:
        raise Refused("label_refused", f"Amazon did not make the label ({feed.status}).")
    return LabelUnderWay(
        f"{AT}/report/{quote(reference(await feeds.report(client, feed, most=MOST_BYTES)), safe='')}", 0
    )


async def _of_report(client: AmazonClient, report_id: str) -> bytes | LabelUnderWay:
    report = await reports.get(client, report_id)
    if not report.ended:
        return LabelUnderWay(f"{AT}/report/{quote(report_id, safe='')}", LOOK_AFTER[0])
    if report.status != reports.DONE or not report.document:
        raise Refused("label_refused", f"Amazon did not make the label ({report.status}).")
    pdf = await reports.document(client, report.document, restricted=True, most=MOST_BYTES)
    if not pdf.startswith(b"%PDF"):
        raise Malformed("Amazon's label is no PDF")
    return pdf


def _message(order_id: str) -> str:
    return f"{envelopes.tag('AmazonOrderID', order_id)}{envelopes.tag('DocumentType', 'ShippingLabel')}"


def reference(content: bytes) -> str:
    """The report a processing report names. Raises Refused in Amazon's words where it names none."""
    report = envelopes.read(content)
    for named in envelopes.found(report, "DocumentReportReferenceID"):
        if named:
            return named
    said = "; ".join(dict.fromkeys(fault.words for fault in envelopes.faults(report)))
    raise Refused("label_refused", said or "Amazon did not make the label.")


def _feed(feed_id: str, since: datetime) -> str:
    return f"{AT}/feed/{quote(feed_id, safe='')}/{int(since.timestamp())}"
