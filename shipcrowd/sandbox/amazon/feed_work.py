"""What each type of feed does, and the report it leaves."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from shipcrowd.sandbox.amazon import easy_ship_papers, listings_api, trade
from shipcrowd.sandbox.amazon.call import Refused, parse_time, record, records
from shipcrowd.sandbox.amazon.orders import Package
from shipcrowd.sandbox.amazon.orders_api import CARRIERS
from shipcrowd.sandbox.amazon.state import Amazon, Feed

LISTINGS = "JSON_LISTINGS_FEED"
MOST_MESSAGES = 25_000
JSON_TYPE = "application/json; charset=UTF-8"
XML_TYPE = "text/xml; charset=UTF-8"

Work = Callable[[Amazon, Feed, bytes], tuple[str, bytes]]


class BadFeed(Exception):
    """The feed as a whole cannot be processed: FATAL."""


# --- JSON_LISTINGS_FEED ---------------------------------------------------------------------------------------


def listings(world: Amazon, feed: Feed, content: bytes) -> tuple[str, bytes]:
    """Judge and apply each message; an error spoils only its own."""
    messages = _messages(feed, content)
    issues: list[dict[str, object]] = []
    accepted = 0
    for message in messages:
        found = _apply(world, feed, message)
        issues += [{"messageId": message["messageId"], "sku": message.get("sku"), **one} for one in found]
        accepted += not any(one["severity"] == "ERROR" for one in found)
    kinds = Counter(one["severity"] for one in issues)
    report = {
        "header": {"sellerId": feed.seller.id, "version": "2.0", "feedId": feed.id},
        "issues": issues,
        "summary": {
            "errors": kinds["ERROR"],
            "warnings": kinds["WARNING"],
            "messagesProcessed": len(messages),
            "messagesAccepted": accepted,
            "messagesInvalid": len(messages) - accepted,
        },
    }
    return JSON_TYPE, json.dumps(report, ensure_ascii=False).encode()


def _messages(feed: Feed, content: bytes) -> list[dict[str, Any]]:
    if not feed.input.content_type.startswith("application/json"):
        raise BadFeed("the document is not JSON")
    try:
        body: object = json.loads(content)
    except ValueError as error:
        raise BadFeed("the document cannot be read") from error
    header, messages = record(record(body).get("header")), records(record(body).get("messages"))
    if header.get("sellerId") != feed.seller.id or header.get("version") != "2.0" or not messages:
        raise BadFeed("the header is wrong, or there are no messages")
    ids = [one.get("messageId") for one in messages]
    if len(messages) > MOST_MESSAGES or len(set(ids)) != len(ids) or not all(isinstance(one, int) for one in ids):
        raise BadFeed("too many messages, or their ids are not their own")
    return messages


def _apply(world: Amazon, feed: Feed, message: dict[str, Any]) -> list[dict[str, object]]:
    sku, kind = message.get("sku"), message.get("operationType")
    if not isinstance(sku, str) or not sku:
        return [_issue("99001", "'sku' is required but not supplied.", "sku")]
    if kind == "DELETE":
        gone = feed.seller.listings.pop(sku, None)
        return [] if gone else [_issue("13013", "This SKU does not exist in the catalog.", "sku")]
    if kind != "PATCH":
        return [_issue("99001", f"operationType {kind} is not taken by this sandbox.", "operationType")]
    judged = listings_api.judge(feed.seller, sku, message.get("productType"), records(message.get("patches")))
    if not any(one["severity"] == "ERROR" for one in judged):
        listings_api.accept(world, feed.seller, sku, records(message.get("patches")))
    return [
        _issue(str(one["code"]), str(one["message"]), next(iter(cast(list[str], one.get("attributeNames", []))), None))
        for one in judged
    ]


def _issue(code: str, message: str, attribute: str | None) -> dict[str, object]:
    named = {"attributeName": attribute} if attribute else {}
    return {"code": code, "severity": "ERROR", "message": message, **named}


# --- the XML ones ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """One line of a processing report. `code` None means the message succeeded."""

    message_id: str
    code: str | None = None
    text: str = ""
    order_id: str = ""


def order_fulfillment(world: Amazon, feed: Feed, content: bytes) -> tuple[str, bytes]:
    results = [
        _result(number, message, lambda node: _confirm(world, feed, node))
        for number, message in _envelope(feed, content, "OrderFulfillment")
    ]
    return XML_TYPE, processing_report(feed, results)


def order_acknowledgement(world: Amazon, feed: Feed, content: bytes) -> tuple[str, bytes]:
    """StatusCode Failure cancels the order; Success changes nothing."""
    results = [
        _result(number, message, lambda node: _acknowledge(world, feed, node))
        for number, message in _envelope(feed, content, "OrderAcknowledgement")
    ]
    return XML_TYPE, processing_report(feed, results)


def easy_ship_documents(world: Amazon, feed: Feed, content: bytes) -> tuple[str, bytes]:
    """The label's report is made at once; its id stands in the processing report."""
    results: list[Result] = []
    references: list[str] = []
    for number, node in _envelope(feed, content, "EasyShipDocument"):
        order = feed.seller.orders.get(_text(node, "AmazonOrderID"))
        kinds = [one.text or "" for one in node.findall("DocumentType")]
        if order is None or order.easy_ship is None or order.easy_ship.package_id is None:
            results.append(
                Result(number, "25", "The order has no scheduled Easy Ship package.", _text(node, "AmazonOrderID"))
            )
        elif not kinds or set(kinds) - {"ShippingLabel", "Invoice", "Warranty"}:
            results.append(Result(number, "99", "DocumentType is missing or unknown.", order.id))
        else:
            references.append(easy_ship_papers.make_report(world, feed, order, kinds).id)
            results.append(Result(number))
    return XML_TYPE, processing_report(feed, results, references)


def _confirm(world: Amazon, feed: Feed, node: ET.Element) -> None:
    order = feed.seller.orders.get(_text(node, "AmazonOrderID"))
    data = node.find("FulfillmentData")
    if order is None or data is None:
        raise trade.CannotTrade("the order does not exist, or FulfillmentData is missing")
    if order.fulfilled_by == "AMAZON" or order.easy_ship or order.status not in ("UNSHIPPED", "PARTIALLY_SHIPPED"):
        raise trade.CannotTrade("the order cannot be confirmed by the seller")
    code, name = _text(data, "CarrierCode"), _text(data, "CarrierName")
    if not name and (code not in CARRIERS or code == "Other"):
        raise trade.CannotTrade("CarrierCode is unknown and CarrierName is missing")
    left = {item.id: item.quantity - item.shipped for item in order.items if item.shipped < item.quantity}
    asked = {_text(one, "AmazonOrderItemCode"): int(_text(one, "Quantity") or 0) for one in node.findall("Item")}
    if any(units < 1 or units > left.get(item, 0) for item, units in asked.items()):
        raise trade.CannotTrade("more units than are left to ship")
    reference = str(1 + max((int(one.reference) for one in order.packages), default=0))
    tracking, method = _text(data, "ShipperTrackingNumber"), _text(data, "ShippingMethod")
    shipped_at = parse_time(_text(node, "FulfillmentDate"), "FulfillmentDate")
    package = Package(reference, name or code, tracking, method, shipped_at, world.now(), asked or left)
    trade.confirm(world, order, package)


def _acknowledge(world: Amazon, feed: Feed, node: ET.Element) -> None:
    order = feed.seller.orders.get(_text(node, "AmazonOrderID"))
    if order is None:
        raise trade.CannotTrade("the order does not exist")
    match _text(node, "StatusCode"):
        case "Success":
            return
        case "Failure":
            trade.cancel(world, order, "Order was cancelled by the seller")
        case other:
            raise trade.CannotTrade(f"StatusCode {other} is unknown")


def _result(number: str, node: ET.Element, act: Callable[[ET.Element], None]) -> Result:
    try:
        act(node)
    except (trade.CannotTrade, Refused, ValueError) as error:
        return Result(number, "18028", str(error), _text(node, "AmazonOrderID"))
    return Result(number)


def _envelope(feed: Feed, content: bytes, kind: str) -> Iterator[tuple[str, ET.Element]]:
    """Message number and body of each message; BadFeed unless it is a whole AmazonEnvelope of `kind`."""
    if not feed.input.content_type.startswith(("text/xml", "application/xml")) or b"<!DOCTYPE" in content:
        raise BadFeed("the document is not plain XML")
    try:
        root = ET.fromstring(content)  # noqa: S314 - without a DTD there are no entities
    except ET.ParseError as error:
        raise BadFeed("the document cannot be read") from error
    header = root.find("Header")
    whole = header is not None and _text(header, "DocumentVersion") and _text(header, "MerchantIdentifier")
    if root.tag != "AmazonEnvelope" or not whole or _text(root, "MessageType") != kind:
        raise BadFeed("the envelope is not whole")
    messages = [(_text(one, "MessageID"), one.find(kind)) for one in root.findall("Message")]
    if not messages or any(not number or node is None for number, node in messages):
        raise BadFeed("a message has no MessageID or no body")
    return ((number, node) for number, node in messages if node is not None)


def _text(node: ET.Element, name: str) -> str:
    return (node.findtext(name) or "").strip()


def processing_report(feed: Feed, results: list[Result], references: list[str] | None = None) -> bytes:
    """The XML every one of these feeds is answered with."""
    wrong = [one for one in results if one.code]
    lines = "".join(
        f"<Result><MessageID>{escape(one.message_id)}</MessageID><ResultCode>Error</ResultCode>"
        f"<ResultMessageCode>{one.code}</ResultMessageCode>"
        f"<ResultDescription>{escape(one.text)}</ResultDescription>"
        f"<AdditionalInfo><AmazonOrderID>{escape(one.order_id)}</AmazonOrderID></AdditionalInfo></Result>"
        for one in wrong
    )
    documents = "".join(f"<DocumentReportReferenceID>{one}</DocumentReportReferenceID>" for one in references or [])
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<AmazonEnvelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="amzn-envelope.xsd">'
        f"<Header><DocumentVersion>1.02</DocumentVersion><MerchantIdentifier>{feed.seller.id}</MerchantIdentifier>"
        "</Header><MessageType>ProcessingReport</MessageType><Message><MessageID>1</MessageID><ProcessingReport>"
        f"<DocumentTransactionID>{feed.id}</DocumentTransactionID><StatusCode>Complete</StatusCode>"
        f"<ProcessingSummary><MessagesProcessed>{len(results)}</MessagesProcessed>"
        f"<MessagesSuccessful>{len(results) - len(wrong)}</MessagesSuccessful>"
        f"<MessagesWithError>{len(wrong)}</MessagesWithError><MessagesWithWarning>0</MessagesWithWarning>"
        f"</ProcessingSummary>{lines}{documents}</ProcessingReport></Message></AmazonEnvelope>"
    )
    return text.encode()


WORK: dict[str, Work] = {
    LISTINGS: listings,
    "POST_ORDER_FULFILLMENT_DATA": order_fulfillment,
    "POST_ORDER_ACKNOWLEDGEMENT_DATA": order_acknowledgement,
    "POST_EASYSHIP_DOCUMENTS": easy_ship_documents,
}
